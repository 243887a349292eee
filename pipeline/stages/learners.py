"""Learners: a model and its objective as one module that maps (batch, target) to named loss terms."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from pipeline.data.masking import IGNORED
from pipeline.distillation.features import Attention, Features
from pipeline.distillation.losses import soft_cross_entropy
from pipeline.distillation.objectives import TransformerObjective
from pipeline.models.mlm import mlm_head
from pipeline.models.taps import Tap, encode


class MaskedLanguageModel(nn.Module):
    """Cross-entropy of the masked word pieces; the head runs at the masked positions only.

    Args:
        model: an encoder with a masked-LM head.
        frozen_encoder: train the head alone; the encoder runs without dropout and without gradients.
    """

    def __init__(self, model: PreTrainedModel, *, frozen_encoder: bool = False) -> None:
        super().__init__()
        self.model = model
        self.frozen_encoder = frozen_encoder
        if frozen_encoder:
            model.base_model.requires_grad_(False)

    def forward(self, batch: Mapping[str, Tensor], _target: object = None) -> dict[str, Tensor]:
        """``batch`` holds input_ids, attention_mask and labels, each (batch, length)."""
        if self.frozen_encoder:
            self.model.base_model.eval()
        with torch.set_grad_enabled(not self.frozen_encoder):
            hidden = encode(cast("PreTrainedModel", self.model.base_model), batch).last_hidden_state
        predicted = batch["labels"] != IGNORED
        logits = mlm_head(self.model)(hidden[predicted])
        if not len(logits):  # nothing but special tokens: the mean over no positions would not be a number
            return {"masked_lm": logits.float().sum()}
        return {"masked_lm": F.cross_entropy(logits.float(), batch["labels"][predicted])}


class Classifier(nn.Module):
    """Cross-entropy (or squared error) with the gold labels: ordinary fine-tuning."""

    def __init__(self, model: PreTrainedModel, *, regression: bool) -> None:
        super().__init__()
        self.model = model
        self.regression = regression

    def forward(self, batch: Mapping[str, Tensor], _target: object = None) -> dict[str, Tensor]:
        """``batch`` holds the inputs and labels: (batch,), class indices or numbers."""
        logits = encode(self.model, batch).logits.float()
        if self.regression:
            return {"labels": F.mse_loss(logits.squeeze(-1), batch["labels"].float())}
        return {"labels": F.cross_entropy(logits, batch["labels"])}


class Predictor(nn.Module):
    """The teacher's logits imitated: soft cross-entropy, or squared error for regression."""

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        regression: bool,
        temperature: float = 1.0,
        mean_over_classes: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.regression = regression
        self.temperature = temperature
        self.mean_over_classes = mean_over_classes

    def forward(self, batch: Mapping[str, Tensor], _target: object = None) -> dict[str, Tensor]:
        """``batch`` holds the inputs and the teacher's logits: (batch, classes)."""
        logits = encode(self.model, batch).logits
        if self.regression:
            return {"prediction": F.mse_loss(logits.float(), batch["logits"].float())}
        loss = soft_cross_entropy(logits, batch["logits"], self.temperature, mean_over_classes=self.mean_over_classes)
        return {"prediction": loss}


class Imitator(nn.Module):
    """A student that imitates the mapped layers of its teacher.

    Args:
        model: the student.
        objective: the losses and their projections.
        num_layers: of the student; all are tapped.
        positions: for each mapped layer, its place among the layers the teacher hands out.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        objective: TransformerObjective,
        num_layers: int,
        positions: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.positions = positions
        self._attention = objective.weights["attention"] > 0
        self._tap = Tap(model, range(1, num_layers + 1), attention=self._attention)

    def forward(self, batch: Mapping[str, Tensor], target: Features) -> dict[str, Tensor]:
        """``target`` is what ``read_features`` of the teacher's tap gives for the same batch."""
        mapped = Features(
            target.embedding,
            tuple(target.hidden_states[place] for place in self.positions),
            tuple(target.attention[place] for place in self.positions) if self._attention else (),
        )
        return self.objective(read_features(self._tap, batch), mapped, batch["attention_mask"])


def read_features(tap: Tap, batch: Mapping[str, Tensor]) -> Features:
    """The features a tap reads, in the form the losses take."""
    embedding, hidden_states, attention = tap(batch)
    return Features(embedding, hidden_states, tuple(Attention(*pair) for pair in attention))
