"""Learners: a model and its objective as one module that maps (batch, target, counts) to named loss terms.

A term is a sum over the rows at hand divided by a count of the whole optimisation step, of which these rows
may be a part; without ``counts`` they are the whole.
"""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from pipeline.data.masking import IGNORED
from pipeline.distillation.features import Attention, Features
from pipeline.distillation.losses import soft_cross_entropy
from pipeline.distillation.objectives import TransformerObjective
from pipeline.evaluation.cost import encoder_flops
from pipeline.models.dropout import draw_cheaply
from pipeline.models.mlm import mlm_head
from pipeline.models.taps import Tap, encode

Counts = Mapping[str, float]


class Learner(nn.Module):
    """A model and how it is judged.

    Args:
        model: what is trained; its dropout is replaced by one that is cheap to draw.

    Attributes:
        features_ready: called with the last tensor of the model's forward pass, by which a watch tells the
            model's time from its losses'.
    """

    features_ready: Callable[[Tensor], None] | None = None

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        draw_cheaply(model)
        self.model = model

    def flops(self, counts: Counts) -> float:
        """Floating-point operations of training on so much; backward takes twice what forward does."""
        return 3 * encoder_flops(self.model.config, counts["tokens"], counts["pairs"])

    def ready(self, last: Tensor) -> None:
        """The model's forward pass is over; losses follow."""
        if self.features_ready is not None:
            self.features_ready(last)


class MaskedLanguageModel(Learner):
    """Cross-entropy of the masked word pieces; the head runs at the masked positions only.

    Args:
        model: an encoder with a masked-LM head.
        frozen_encoder: train the head alone; the encoder runs without dropout and without gradients.
    """

    def __init__(self, model: PreTrainedModel, *, frozen_encoder: bool = False) -> None:
        super().__init__(model)
        self.frozen_encoder = frozen_encoder
        if frozen_encoder:
            model.base_model.requires_grad_(False)

    def flops(self, counts: Counts) -> float:
        """Of the encoder, and of the head at the predicted positions."""
        config = self.model.config
        head = 2 * counts["predicted"] * config.hidden_size * (config.hidden_size + config.vocab_size)
        encoder = encoder_flops(config, counts["tokens"], counts["pairs"])
        return 3 * head + (encoder if self.frozen_encoder else 3 * encoder)

    def forward(
        self, batch: Mapping[str, Tensor], _target: object = None, counts: Counts | None = None
    ) -> dict[str, Tensor]:
        """``batch`` holds input_ids, attention_mask and labels, each (batch, length)."""
        if self.frozen_encoder:
            self.model.base_model.eval()
        with torch.set_grad_enabled(not self.frozen_encoder):
            hidden = encode(cast("PreTrainedModel", self.model.base_model), batch).last_hidden_state
        predicted = batch["labels"] != IGNORED
        logits = mlm_head(self.model)(hidden[predicted])
        self.ready(logits)
        if not len(logits):  # nothing but special tokens: the mean over no positions would not be a number
            return {"masked_lm": logits.float().sum()}
        total = F.cross_entropy(logits.float(), batch["labels"][predicted], reduction="sum")
        return {"masked_lm": total / (counts["predicted"] if counts else len(logits))}


class Classifier(Learner):
    """Cross-entropy (or squared error) with the gold labels: ordinary fine-tuning."""

    def __init__(self, model: PreTrainedModel, *, regression: bool) -> None:
        super().__init__(model)
        self.regression = regression

    def forward(
        self, batch: Mapping[str, Tensor], _target: object = None, counts: Counts | None = None
    ) -> dict[str, Tensor]:
        """``batch`` holds the inputs and labels: (batch,), class indices or numbers."""
        logits = encode(self.model, batch).logits.float()
        self.ready(logits)
        rows = counts["rows"] if counts else len(logits)
        if self.regression:
            return {"labels": F.mse_loss(logits.squeeze(-1), batch["labels"].float(), reduction="sum") / rows}
        return {"labels": F.cross_entropy(logits, batch["labels"], reduction="sum") / rows}


class Predictor(Learner):
    """The teacher's logits imitated: soft cross-entropy, or squared error for regression."""

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        regression: bool,
        temperature: float = 1.0,
        mean_over_classes: bool = False,
    ) -> None:
        super().__init__(model)
        self.regression = regression
        self.temperature = temperature
        self.mean_over_classes = mean_over_classes

    def forward(
        self, batch: Mapping[str, Tensor], _target: object = None, counts: Counts | None = None
    ) -> dict[str, Tensor]:
        """``batch`` holds the inputs and the teacher's logits: (batch, classes)."""
        logits = encode(self.model, batch).logits
        self.ready(logits)
        rows = counts["rows"] if counts else len(logits)
        if self.regression:
            return {"prediction": F.mse_loss(logits.float(), batch["logits"].float(), reduction="sum") / rows}
        loss = soft_cross_entropy(
            logits,
            batch["logits"],
            self.temperature,
            mean_over_classes=self.mean_over_classes,
            count=counts["rows"] if counts else None,
        )
        return {"prediction": loss}


class Imitator(Learner):
    """A student that imitates the mapped layers of its teacher.

    Args:
        model: the student.
        objective: the losses and their projections.
        num_layers: of the student; all are tapped.
        positions: for each mapped layer, its place among the layers the teacher hands out.

    Attributes:
        windows: distances of local attention within which pairs are to be counted.
        counts_padding: whether padding counts in the means.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        objective: TransformerObjective,
        num_layers: int,
        positions: tuple[int, ...],
    ) -> None:
        super().__init__(model)
        self.objective = objective
        self.positions = positions
        self.counts_padding = objective.count_padding
        self._attention = objective.weights["attention"] > 0
        self.windows = {window for window in objective.windows if window is not None} if self._attention else set()
        self._tap = Tap(model, range(1, num_layers + 1), attention=self._attention)

    def flops(self, counts: Counts) -> float:
        """Of the encoder, and of the projections to the teacher's width."""
        weights = self.objective.weights
        projected = (weights["embedding"] > 0) + (weights["hidden"] > 0) * len(self.positions)
        size = self.objective.hidden_projection.weight.numel()
        return super().flops(counts) + 3 * 2 * counts["tokens"] * size * projected

    def forward(self, batch: Mapping[str, Tensor], target: Features, counts: Counts | None = None) -> dict[str, Tensor]:
        """``target`` is what ``read_features`` of the teacher's tap gives for the same batch."""
        mapped = Features(
            target.embedding,
            tuple(target.hidden_states[place] for place in self.positions),
            tuple(target.attention[place] for place in self.positions) if self._attention else (),
        )
        own = read_features(self._tap, batch)
        self.ready(own.hidden_states[-1])
        return self.objective(own, mapped, batch["attention_mask"], counts)


def read_features(tap: Tap, batch: Mapping[str, Tensor]) -> Features:
    """The features a tap reads, in the form the losses take."""
    embedding, hidden_states, attention = tap(batch)
    return Features(embedding, hidden_states, tuple(Attention(*pair) for pair in attention))
