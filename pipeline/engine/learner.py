"""A learner joins a model and its objective in one module whose forward pass returns named losses."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn
from transformers import PreTrainedModel

from pipeline.distillation.objective import Objective
from pipeline.evaluation.cost import encoder_flops
from pipeline.features import MASKED_WORDS, OUTPUT, Moment, Seen
from pipeline.models.speed.dropout import draw_cheaply
from pipeline.models.taps import Reader, last_of

AT_HAND = Moment()


class Learner(nn.Module):
    """A model in training. One forward pass computes all tensors that the terms of its objective use.

    Args:
        model: the model to train; its dropout is replaced by one that is faster to draw on a CPU.
        objective: the weighted loss terms.
        frozen_encoder: train only the head; the encoder runs without dropout and without gradients.

    Attributes:
        windows: distances of local attention, in tokens, for which pairs of tokens are counted.
        counts_padding: whether the means in the loss include padding.
        features_ready: called with the last tensor of the model's forward pass, so that a watch can separate the
            time of the model from that of the losses.
    """

    features_ready: Callable[[Tensor], None] | None = None

    def __init__(self, model: PreTrainedModel, objective: Objective, *, frozen_encoder: bool = False) -> None:
        super().__init__()
        draw_cheaply(model)
        self.model = model
        self.objective = objective
        self.frozen_encoder = frozen_encoder
        self.windows, self.counts_padding = objective.windows, objective.counts_padding
        self._read = Reader(model, objective.student_taps)
        if frozen_encoder:
            model.base_model.requires_grad_(False)

    @property
    def leaves_parameters_unused(self) -> bool:
        """Whether the loss may not depend on some parameters, such as a pooler above the last layer that is read."""
        return OUTPUT not in self.objective.student_taps and MASKED_WORDS not in self.objective.student_taps

    def forward(
        self, batch: Mapping[str, Tensor], guides: Mapping[str, Seen] | None = None, moment: Moment = AT_HAND
    ) -> dict[str, Tensor]:
        """Compute the weighted losses, by name of the term.

        Args:
            batch: input_ids, attention_mask and perhaps token_type_ids, each (batch, length); labels if a term uses
                them.
            guides: name of the guide (such as the teacher) -> its features of the batch.
            moment: counts of the whole step, and the share of the training that is done.
        """
        if self.frozen_encoder:
            self.model.base_model.eval()
        own = self._read(batch)
        if self.features_ready is not None:
            self.features_ready(last_of(own))
        return self.objective(own, guides or {}, batch, moment)

    def flops(self, counts: Mapping[str, float]) -> float:
        """Return the floating-point operations of training on these counts; a backward pass counts as two forward ones.

        Args:
            counts: rows, tokens and pairs of all steps.
        """
        encoder = encoder_flops(self.model.config, counts["tokens"], counts["pairs"])
        heads = self.objective.flops(counts)
        if MASKED_WORDS in self.objective.student_taps:
            config = self.model.config
            heads += 2 * counts["predicted"] * config.hidden_size * (config.hidden_size + config.vocab_size)
        return 3 * heads + (encoder if self.frozen_encoder else 3 * encoder)
