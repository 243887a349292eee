"""A learner is a model and its objective as one module, which the training loop turns into named losses."""

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
    """A model in training: reads what the terms of its objective ask for, in one forward pass.

    Args:
        model: what is trained; its dropout is replaced by one that is cheap to draw.
        objective: what it learns from.
        frozen_encoder: train the head alone; the encoder runs without dropout and without gradients.

    Attributes:
        windows: distances of local attention within which pairs of tokens are to be counted.
        counts_padding: whether padding counts in the means of the loss.
        features_ready: called with the last tensor of the model's forward pass, by which a watch tells the
            model's time from its losses'.
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
        """Whether the loss does not depend on some parameters, such as a pooler above the last layer that is read."""
        return OUTPUT not in self.objective.student_taps and MASKED_WORDS not in self.objective.student_taps

    def forward(
        self, batch: Mapping[str, Tensor], guides: Mapping[str, Seen] | None = None, moment: Moment = AT_HAND
    ) -> dict[str, Tensor]:
        """The weighted losses by name.

        Args:
            batch: input_ids, attention_mask and perhaps token_type_ids, each (batch, length), and labels where a
                term learns from them.
            guides: what each guide shows of the batch, by its name.
            moment: counts of the whole step, progress of the training.
        """
        if self.frozen_encoder:
            self.model.base_model.eval()
        own = self._read(batch)
        if self.features_ready is not None:
            self.features_ready(last_of(own))
        return self.objective(own, guides or {}, batch, moment)

    def flops(self, counts: Mapping[str, float]) -> float:
        """Floating-point operations of training on these counts; backward takes twice what forward does."""
        encoder = encoder_flops(self.model.config, counts["tokens"], counts["pairs"])
        heads = self.objective.flops(counts)
        if MASKED_WORDS in self.objective.student_taps:
            config = self.model.config
            heads += 2 * counts["predicted"] * config.hidden_size * (config.hidden_size + config.vocab_size)
        return 3 * heads + (encoder if self.frozen_encoder else 3 * encoder)
