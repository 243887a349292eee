"""Try a student of a new shape before anything is trained: build, run, read, save and load it."""

from collections.abc import Collection
from copy import deepcopy
from tempfile import TemporaryDirectory

import torch
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel

from pipeline.errors import ModelError
from pipeline.features import EMBEDDING, Tap, What
from pipeline.models.load import load_finetuned
from pipeline.models.source import ModelSource
from pipeline.models.taps import Reader, encode

FEW_WORD_PIECES = 64  # the vocabulary is the largest part of a model and never what does not fit
ROWS, LENGTH = 2, 5
WAY_OUT = "choose another shape, or a BERT, RoBERTa, ELECTRA or MiniLM teacher"


def try_student(config: PretrainedConfig, name: str, shown: Collection[What]) -> None:
    """Build a student, run it, read its features, save it and load it again.

    Args:
        config: configuration of the student.
        name: name of the student, for messages.
        shown: what the loss terms ask it to show.

    Raises:
        ModelError: one of these steps fails for the family in this shape; names student, family and step.
    """
    try:
        _try(_with_few_word_pieces(config), name, shown)
    except ModelError:  # of the small vocabulary, perhaps; the student's own decides
        _try(config, name, shown)


def _try(config: PretrainedConfig, name: str, shown: Collection[What]) -> None:
    step = "built"
    try:
        with torch.random.fork_rng(devices=[]), TemporaryDirectory(prefix="tinybert-trial-") as folder:
            torch.manual_seed(0)
            model = AutoModelForSequenceClassification.from_config(deepcopy(config)).eval()
            batch = _batch(config.vocab_size)
            with torch.no_grad():
                step = "run"
                before = encode(model, batch).logits
                step = "read"
                read_as_student(model, shown)
                step = "saved"
                model.save_pretrained(folder)
                step = "opened again"
                after = encode(load_finetuned(ModelSource(folder)).eval(), batch).logits
            step = "opened again with the same outputs"
            torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
    except (OSError, MemoryError):  # of this machine, not of the shape
        raise
    except Exception as error:
        if step == "read" and isinstance(error, ModelError):
            raise  # it says what to do
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"student {name!r}: a {config.model_type!r} model of {config.num_hidden_layers} layers, "
            f"{config.hidden_size} wide, {config.num_attention_heads} heads cannot be {step} ({first}): {WAY_OUT}"
        ) from error


@torch.no_grad()
def read_as_student(model: PreTrainedModel, shown: Collection[What]) -> None:
    """Check that the taps of a built model have the shapes that the losses expect.

    Args:
        model: the model.
        shown: what the loss terms ask it to show.

    Raises:
        ModelError: attention scores cannot be read, or hidden states or keys have another width or number of heads
            than the configuration says.
    """
    config = model.config
    numbers = range(1, config.num_hidden_layers + 1)
    of_layers: tuple[What, ...] = ("hidden", *(what for what in ("query", "key") if what in shown))
    taps = [EMBEDDING, *(Tap(what, number) for what in of_layers for number in numbers)]
    seen = Reader(model, taps)(_batch(config.vocab_size))
    widths = {tensor.shape[-1] for tap, tensor in seen.items() if tap.what in ("embedding", "hidden")}
    if widths != {config.hidden_size}:
        raise ModelError(
            f"a {config.model_type!r} student of width {config.hidden_size} has hidden states {sorted(widths)} wide: "
            f"{WAY_OUT}"
        )
    heads = {tensor.shape[1] for tap, tensor in seen.items() if tap.what in ("query", "key")}
    if heads - {config.num_attention_heads}:
        raise ModelError(
            f"a {config.model_type!r} student of {config.num_attention_heads} heads has queries and keys of "
            f"{sorted(heads)} heads: set terms.attention to 0, or {WAY_OUT}"
        )


def _batch(vocab_size: int) -> dict[str, torch.Tensor]:
    """Build a batch of two rows, one of them padded."""
    mask = torch.arange(LENGTH) < torch.tensor([LENGTH, LENGTH - 2])[:, None]
    ids = torch.arange(ROWS * LENGTH).view(ROWS, LENGTH) % max(1, vocab_size - LENGTH) + min(LENGTH, vocab_size - 1)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}


def _with_few_word_pieces(config: PretrainedConfig) -> PretrainedConfig:
    small = deepcopy(config)
    small.vocab_size = min(small.vocab_size, FEW_WORD_PIECES)
    for name, value in vars(small).items():
        if name.endswith("_token_id") and isinstance(value, int) and value >= small.vocab_size:
            setattr(small, name, 1)
    return small
