"""Masked language models: build one with random weights, and find the head of any family."""

from collections.abc import Callable

from torch import Tensor, nn
from transformers import BertConfig, BertForMaskedLM, PreTrainedModel

from pipeline.config.models import Shape
from pipeline.errors import ModelError


def build_masked_lm(shape: Shape, *, vocab_size: int, pad_token_id: int, max_length: int) -> PreTrainedModel:
    """Build a BERT with a masked-LM head and random weights from torch's global generator, which the caller seeds.

    Args:
        shape: layers, hidden size, heads and intermediate size of the encoder.
        vocab_size: number of word pieces.
        pad_token_id: id of the padding token.
        max_length: number of positions.
    """
    return BertForMaskedLM(
        BertConfig(
            vocab_size=vocab_size,
            hidden_size=shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=shape.intermediate,
            max_position_embeddings=max_length,
            pad_token_id=pad_token_id,
        )
    )


def mlm_head(model: PreTrainedModel) -> Callable[[Tensor], Tensor]:
    """Return a model's masked-LM head, a function: (rows, hidden) -> (rows, vocabulary) logits.

    Only this function knows under which name each family of the Transformers library keeps it.

    Raises:
        ModelError: the model has no masked-LM head.
    """
    parts = dict(model.named_children())
    if "generator_predictions" in parts and "generator_lm_head" in parts:  # ELECTRA's generator
        return nn.Sequential(parts["generator_predictions"], parts["generator_lm_head"])
    if "vocab_transform" in parts and "vocab_projector" in parts:  # DistilBERT
        names = ("vocab_transform", "activation", "vocab_layer_norm", "vocab_projector")
        return nn.Sequential(*(parts[name] for name in names))
    if "head" in parts and "decoder" in parts:  # ModernBERT
        return nn.Sequential(parts["head"], parts["decoder"])
    head = parts.get("cls", parts.get("lm_head", parts.get("predictions")))  # BERT, RoBERTa, ALBERT
    inner = {} if head is None else dict(head.named_children())
    if "predictions" in inner:
        return inner["predictions"]
    if head is None or "seq_relationship" in inner:
        raise ModelError(
            f"{type(model).__name__} has no masked-LM head: name a model with one in augmentation.mlm, "
            "or leave it empty to take word neighbours"
        )
    return head
