"""Tiny real parts: tokenizers made here, models with random weights, vectors made up."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    ElectraConfig,
    ElectraForMaskedLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

from pipeline.augmentation.candidates.vectors import WordVectors

SENTENCES = [
    "The quick brown fox jumps over the lazy dog.",
    "A gripping movie, beautifully acted and never dull!",
    "Critics praise the gripping drama; audiences do not.",
    "It isn't a very good film but the acting is lovely",
    "Brown dogs chase quick foxes across muddy fields",
    "the director's latest picture feels hollow and slow",
    "Lovely pictures, lazy acting, hollow drama",
]
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


def named(**tokens: str) -> dict[str, str]:
    """unk="[UNK]" as the keyword the tokenizers take."""
    return {f"{name}_token": token for name, token in tokens.items()}


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    return list(SENTENCES)


@pytest.fixture(scope="session")
def wordpiece() -> PreTrainedTokenizerFast:
    # written down, not trained: the WordPiece trainer breaks ties differently in every process
    letters = "abcdefghijklmnopqrstuvwxyz"
    whole = "the fox lazy dog gripping movie acted never dull critics drama audiences good film acting lovely not"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]", *".,;!'-", *letters]
    tokens += [
        *whole.split(),
        *(f"##{letter}" for letter in letters),
        "##ing",
        "##ly",
        "pictur",
        "beauti",
        "42",
    ]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    backend = Tokenizer(models.WordPiece(vocabulary, **named(unk="[UNK]")))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        **named(unk="[UNK]", cls="[CLS]", sep="[SEP]", pad="[PAD]", mask="[MASK]"),
    )


@pytest.fixture(scope="session")
def byte_level() -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(SENTENCES, trainer)
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, **named(unk="<unk>", cls="<s>", sep="</s>", pad="<pad>", mask="<mask>")
    )


@pytest.fixture(scope="session")
def bert(wordpiece) -> BertForMaskedLM:
    torch.manual_seed(1)
    return sharpen(BertForMaskedLM(BertConfig(vocab_size=len(wordpiece), max_position_embeddings=64, **SIZES)))


@pytest.fixture(scope="session")
def electra(wordpiece) -> ElectraForMaskedLM:
    torch.manual_seed(2)
    config = ElectraConfig(vocab_size=len(wordpiece), embedding_size=16, max_position_embeddings=64, **SIZES)
    return sharpen(ElectraForMaskedLM(config))


@pytest.fixture(scope="session")
def distilbert(wordpiece) -> DistilBertForMaskedLM:
    torch.manual_seed(3)
    config = DistilBertConfig(
        vocab_size=len(wordpiece), max_position_embeddings=64, dim=32, n_layers=1, n_heads=4, hidden_dim=48
    )
    return sharpen(DistilBertForMaskedLM(config))


@pytest.fixture(scope="session")
def roberta(byte_level) -> RobertaForMaskedLM:
    torch.manual_seed(4)
    config = RobertaConfig(
        vocab_size=len(byte_level),
        max_position_embeddings=66,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        **SIZES,
    )
    return sharpen(RobertaForMaskedLM(config))


@pytest.fixture(scope="session")
def vectors() -> WordVectors:
    words = sorted({word.strip(".,;!").lower() for text in SENTENCES for word in text.split()})
    words += ["paris", "n't", "42nd", "Lovely"]
    return WordVectors(words, np.random.default_rng(0).normal(size=(len(words), 12)))


def sharpen(model: torch.nn.Module) -> torch.nn.Module:
    """Larger weights, so that what the model sees matters to what it says; left in training mode."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    return model.train()
