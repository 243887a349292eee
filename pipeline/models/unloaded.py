"""Check a model without loading it, from its configuration and the headers of its weight files; no torch.

That takes milliseconds, while loading a model takes seconds. What cannot be decided from these files is left to the
library: no model is refused here that it would load.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pipeline.errors import ModelError
from pipeline.models.described import read_config, shape_of
from pipeline.models.weights import SAFE, refuse_pickles, weight_files

Tensors = Mapping[str, tuple[int, ...]]

NOT_ENCODERS = frozenset(
    (
        *("bloom", "clip", "falcon", "gemma", "gemma2", "gemma3", "gemma3_text", "gpt2", "gpt_neo", "gpt_neox", "gptj"),
        *("llama", "mistral", "mixtral", "mt5", "olmo", "opt", "pegasus", "phi", "phi3", "qwen2", "qwen3", "stablelm"),
        *("t5", "umt5", "vit", "wav2vec2", "whisper"),
    )
)
# These number positions from after the padding index, so that a table of 514 rows serves 512 word pieces.
POSITIONS_AFTER_PADDING = frozenset(["camembert", "mpnet", "roberta", "xlm-roberta"])
# How the weights of each family's heads begin; of a family that is not here nothing is known.
MASKED_LM_HEADS: Mapping[str, tuple[str, ...]] = {
    "albert": ("predictions.",),
    "bert": ("cls.predictions.",),
    "camembert": ("lm_head.",),
    "deberta": ("cls.predictions.", "lm_predictions."),
    "deberta-v2": ("cls.predictions.", "lm_predictions."),
    "distilbert": ("vocab_transform.",),
    "electra": ("generator_predictions.",),
    "mpnet": ("lm_head.",),
    "roberta": ("lm_head.",),
    "xlm-roberta": ("lm_head.",),
}
CLASSIFIERS = frozenset((*MASKED_LM_HEADS, "mobilebert", "modernbert"))  # all call it classifier
# Where every layer holds the same weights, a layer that lacks one shows beside the others.
EQUAL_LAYERS = frozenset(["bert", "camembert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta"])
# Their head on a pooled vector is more than one linear layer.
DEEP_CLASSIFIERS = frozenset(["camembert", "electra", "mpnet", "roberta", "xlm-roberta"])
NO_ATTENTION_INTERFACE = frozenset(["deberta", "deberta-v2"])
_LAYER = re.compile(r"(?:^|\.)layer\.(\d+)\.(.+)$")


@dataclass(frozen=True)
class UnloadedModel:
    """A model as its folder describes it; a number that the folder does not give is 0.

    Attributes:
        location: its folder, for messages.
        family: "bert", "roberta", ...; "" if the configuration does not say.
        positions: longest sequence it can read, in word pieces.
        labels: output index -> label name of a classifier.
        tensors: name -> shape of every weight; None for a model that has not been trained yet.
    """

    location: str
    family: str
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    vocab_size: int
    positions: int
    labels: Mapping[int, str]
    tensors: Tensors | None = None

    def has_weights(self, *beginnings: str) -> bool:
        """Return whether the name of any weight starts with one of these strings."""
        return any(name.startswith(beginnings) for name in self.tensors or ())


def read_model(folder: Path) -> UnloadedModel:
    """Read the description of a model from its folder.

    Args:
        folder: folder of the model.

    Raises:
        ModelError: configuration or weights are missing or damaged, or the model is no encoder.
    """
    config = read_config(folder)
    shape, family = shape_of(config), str(config.get("model_type", ""))
    if family in NOT_ENCODERS or config.get("is_encoder_decoder") or config.get("is_decoder"):
        raise ModelError(
            f"{folder} is a {family!r} model, which is not an encoder: "
            "name a BERT, RoBERTa, ELECTRA, MiniLM or similar encoder"
        )
    refuse_pickles(str(folder), SimpleNamespace(**config))
    files = [folder / name for name in weight_files(folder, SimpleNamespace(**config))]
    if not files:
        raise ModelError(f"{folder} holds no weights: save the model there with save_pretrained (model{SAFE})")
    positions = _number(config, "max_position_embeddings")
    if positions and family in POSITIONS_AFTER_PADDING:
        positions -= _number(config, "pad_token_id") + 1
    return UnloadedModel(
        location=str(folder),
        family=family,
        hidden_size=shape.get("hidden", 0),
        num_hidden_layers=shape.get("layers", 0),
        num_attention_heads=shape.get("heads", 0),
        vocab_size=_number(config, "vocab_size"),
        positions=positions,
        labels=_labels(config),
        tensors=dict(item for file in files for item in _read_header(folder, file)),
    )


def check_encoder(model: UnloadedModel) -> None:
    """Refuse a model whose weights are incomplete or do not fit its configuration.

    Raises:
        ModelError: a weight is missing or has another size; names the first.
    """
    if model.tensors is None or model.family not in EQUAL_LAYERS:
        return
    wrong = list(_misfits(model))
    if wrong:
        raise ModelError(
            f"{model.location} lacks {len(wrong)} of the encoder's weights or has them in another size, first "
            f"{wrong[0]!r}: another model's config.json, or an incomplete folder"
        )


def _misfits(model: UnloadedModel) -> Iterator[str]:
    assert model.tensors is not None, "asked of a model with weights"  # noqa: S101
    for name, shape in model.tensors.items():
        if name.endswith("word_embeddings.weight") and len(shape) == 2:
            narrow = model.family == "electra"  # its embeddings have a width of their own
            if shape[0] != model.vocab_size or (not narrow and shape[1] != model.hidden_size):
                yield name
    layers: dict[int, dict[str, str]] = {number: {} for number in range(model.num_hidden_layers)}
    for name in model.tensors:
        found = _LAYER.search(name)
        if found:
            layers.setdefault(int(found[1]), {})[found[2]] = name
    names = {inner: name for of_layer in layers.values() for inner, name in of_layer.items()}
    for number in range(model.num_hidden_layers):
        for inner, name in names.items():
            if inner not in layers[number]:
                yield name[: name.rindex(f".{inner}")].rpartition(".")[0] + f".{number}.{inner}"


def _read_header(folder: Path, file: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Read the name and shape of each tensor of a safetensors file, and check the file's size against its header."""
    try:
        with file.open("rb") as opened:
            size = int.from_bytes(opened.read(8), "little")
            there = file.stat().st_size - 8 - size
            header = json.loads(opened.read(size)) if there >= 0 else {}
        header.pop("__metadata__", None)
        wanted = max((int(tensor["data_offsets"][1]) for tensor in header.values()), default=0)
        shapes = {str(name): tuple(map(int, tensor["shape"])) for name, tensor in header.items()}
    except OSError as error:
        raise ModelError(
            f"cannot load {str(folder)!r}, a folder: {file.name} cannot be read ({error.strerror})"
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError):
        there, wanted, shapes = 0, 1, {}
    if there < wanted or not shapes:
        raise ModelError(
            f"cannot load {str(folder)!r}, a folder: {file.name} is damaged or incomplete "
            f"({file.stat().st_size} bytes): copy or save the model again"
        )
    return iter(shapes.items())


def _labels(config: Mapping[str, Any]) -> Mapping[int, str]:
    named = config.get("id2label")
    if isinstance(named, dict):
        return {int(index): str(name) for index, name in named.items()}
    return {index: f"LABEL_{index}" for index in range(_number(config, "num_labels") or 2)}


def _number(config: Mapping[str, Any], name: str) -> int:
    """Return an entry that is a whole number; 0 if it is not."""
    value = config.get(name)
    return value if isinstance(value, int) else 0
