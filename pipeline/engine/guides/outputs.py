"""A teacher's logits that an earlier stage stored; they are a column of the batch, so no model is loaded."""

from collections.abc import Mapping

from torch import Tensor

from pipeline.features import OUTPUT, Seen

LOGITS = "logits"  # the column of a batch that holds them


def stored_outputs(batch: Mapping[str, Tensor]) -> Seen:
    """Return the stored logits of a batch, (batch, classes), under the tap ``OUTPUT``."""
    return {OUTPUT: batch[LOGITS]}
