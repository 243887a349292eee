"""Load models from a folder or hub id, and save them to a folder that ``from_pretrained`` opens."""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING
from transformers.utils import logging as transformers_logging

from pipeline.errors import ModelError
from pipeline.hub import asking_hub
from pipeline.models.released import forget_relu, has_relu, relu_before_classifier
from pipeline.models.source import ModelSource
from pipeline.models.weights import refuse_pickles

# Its notes about heads that are not there are errors of ours, with a way out, where they matter.
transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()

MEND = "name a folder that save_pretrained wrote"


def load_config(source: ModelSource) -> PretrainedConfig:
    """Load the configuration of an encoder, with its dtype set to float32.

    Args:
        source: folder or hub id.

    Raises:
        ModelError: it cannot be found or read, or the model is no encoder.
    """
    if source.location.startswith(("/", ".", "~")) and not Path(source.location).is_dir():
        raise ModelError(f"there is no model folder {source.location!r}: check the path")
    try:
        with asking_hub(source.location, MEND, ModelError):
            config = AutoConfig.from_pretrained(source.location, **source.options())
    except (OSError, ValueError) as error:
        raise ModelError(_not_loaded(source, error)) from error
    if not _is_encoder(config):
        raise ModelError(
            f"{source.location} is a {config.model_type!r} model, which is not an encoder: "
            "name a BERT, RoBERTa, ELECTRA, MiniLM or similar encoder"
        )
    refuse_pickles(source.location, config)
    config.dtype = torch.float32
    return config


def load_encoder(source: ModelSource) -> PreTrainedModel:
    """Load an encoder without a head, in float32; a pooler that was not saved gets random weights.

    Args:
        source: folder or hub id.

    Raises:
        ModelError: it cannot be loaded, or weights of the encoder are missing.
    """
    load_config(source)
    model, info = _load(AutoModel, source, output_loading_info=True, ignore_mismatched_sizes=True)
    _check_encoder(source, model, info)
    return model


def load_masked_lm(source: ModelSource, *, new_head: bool = False) -> PreTrainedModel:
    """Load an encoder with its masked-LM head, in float32.

    Args:
        source: folder or hub id.
        new_head: give a head that was not saved random weights, to be trained, instead of raising an error.

    Raises:
        ModelError: it cannot be loaded, or weights of the encoder or of the head are missing.
    """
    load_config(source)
    model, info = _load(AutoModelForMaskedLM, source, ignore_mismatched_sizes=True, output_loading_info=True)
    _check_encoder(source, model, info)
    missing = sorted(_absent(info))
    if missing and not new_head:
        raise ModelError(
            f"{source.location} has no masked-LM head ({len(missing)} weights missing, first {missing[0]}): "
            "fit one with pretrain.mode: mlm_head, name another augmentation.mlm, or set it to null"
        )
    return model


def load_classifier(source: ModelSource, label_names: Sequence[str], *, regression: bool = False) -> PreTrainedModel:
    """Load an encoder with a classification head, in float32; a missing head gets random weights.

    Args:
        source: folder or hub id of the pretrained encoder.
        label_names: label names by output index, kept in the model as ``id2label``; one name for a regression.
        regression: one output for a number instead of one for each class.

    Raises:
        ModelError: it cannot be loaded, or weights of the encoder are missing.
    """
    load_config(source)
    labels = label_settings(label_names, regression=regression)
    factory = AutoModelForSequenceClassification
    model, info = _load(factory, source, ignore_mismatched_sizes=True, output_loading_info=True, **labels)
    _check_encoder(source, model, info)
    forget_relu(model.config)
    return model


def label_settings(label_names: Sequence[str], *, regression: bool = False) -> dict[str, Any]:
    """Return the entries of a model's configuration that describe its labels.

    Args:
        label_names: label names by output index; one name for a regression.
        regression: one output for a number instead of one for each class.
    """
    return {
        "num_labels": len(label_names),
        "id2label": dict(enumerate(label_names)),
        "label2id": {name: index for index, name in enumerate(label_names)},
        "problem_type": "regression" if regression else "single_label_classification",
    }


def load_finetuned(source: ModelSource) -> PreTrainedModel:
    """Load a model with a trained classification head, exactly as it was saved.

    Args:
        source: folder or hub id.

    Raises:
        ModelError: the head's weights are missing, so nothing was fine-tuned.
    """
    load_config(source)
    model, info = _load(AutoModelForSequenceClassification, source, output_loading_info=True)
    missing = sorted(info["missing_keys"])
    if missing:
        raise ModelError(
            f"{source.location} is not fine-tuned (its classification head lacks {missing[0]!r}): "
            "set teacher.finetune to train it on the task"
        )
    if has_relu(model.config):
        relu_before_classifier(model)
    return model


def permute_labels(model: PreTrainedModel, order: Sequence[int], label_names: Sequence[str]) -> None:
    """Reorder the outputs of a fine-tuned model to the task's labels, in place.

    Args:
        model: the model.
        order: (labels,), for each label of the task, its index among the model's outputs.
        label_names: label names of the task.
    """
    *_, head = (m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.out_features == len(order))
    with torch.no_grad():
        head.weight.copy_(head.weight[list(order)].clone())
        if head.bias is not None:
            head.bias.copy_(head.bias[list(order)].clone())
    model.config.id2label = dict(enumerate(label_names))
    model.config.label2id = {name: index for index, name in enumerate(label_names)}


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, *, max_length: int) -> None:
    """Write weights (safetensors), configuration and tokenizer into one folder.

    The tokenizer saved with a classifier reads the names of special tokens as plain text, as in training. The one saved
    with a masked LM does not, because ``[MASK]`` is written into its inputs.

    Args:
        model: the model.
        tokenizer: its tokenizer; it is not changed.
        folder: the folder to write.
        max_length: length at which the saved tokenizer truncates, in word pieces.
    """
    model.save_pretrained(folder)
    saved = deepcopy(tokenizer)
    saved.model_max_length = max_length
    saved.init_kwargs.pop("split_special_tokens", None)
    if "ForSequenceClassification" in type(model).__name__:
        saved.init_kwargs["split_special_tokens"] = saved.split_special_tokens = True
    saved.save_pretrained(folder)


def _load(factory: Any, source: ModelSource, **kwargs: Any) -> Any:
    try:
        with asking_hub(source.location, MEND, ModelError):
            return factory.from_pretrained(
                source.location, dtype=torch.float32, use_safetensors=True, **source.options(), **kwargs
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(_not_loaded(source, error)) from error


def _is_encoder(config: PretrainedConfig) -> bool:
    """Return whether the library has a masked LM of this family, or the model's own code declares one."""
    known = type(config) in MODEL_FOR_MASKED_LM_MAPPING
    remote = "AutoModelForMaskedLM" in (getattr(config, "auto_map", None) or {})
    return (known or remote) and not config.is_encoder_decoder and not getattr(config, "is_decoder", False)


def _check_encoder(source: ModelSource, model: PreTrainedModel, info: dict[str, Any]) -> None:
    """Refuse an encoder some of whose weights are missing and would silently be random."""
    names = [name for name, _ in model.base_model.named_parameters() if not name.startswith("pooler.")]
    prefix = "" if model is model.base_model else f"{model.base_model_prefix}."
    absent = _absent(info)
    missing = [name for name in names if f"{prefix}{name}" in absent]
    if missing:
        raise ModelError(
            f"{source.location} lacks {len(missing)} of the encoder's {len(names)} weights or has them in "
            f"another size, first {missing[0]!r}: another model's config.json, or an incomplete folder"
        )


def _absent(info: dict[str, Any]) -> set[str]:
    """Return the names of weights that were missing or had another size."""
    return {*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])}


def _not_loaded(source: ModelSource, error: Exception) -> str:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    kind = "folder" if Path(source.location).exists() else "hub id (no such folder here)"
    return f"cannot load {source.location!r}, a {kind}: {first}"
