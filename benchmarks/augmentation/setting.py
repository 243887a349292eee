"""What the measurements of the augmentation have in common: sentences, a tokenizer, models with random weights."""

import argparse
import platform
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForMaskedLM, PreTrainedModel, PreTrainedTokenizerFast

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SHAPES = {
    "base": {"num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072},
    "tinybert": {"num_hidden_layers": 4, "hidden_size": 312, "num_attention_heads": 12, "intermediate_size": 1200},
    "small": {"num_hidden_layers": 2, "hidden_size": 128, "num_attention_heads": 2, "intermediate_size": 512},
    "quick": {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24},
}


def arguments(about: str) -> argparse.ArgumentParser:
    """The options that every measurement has."""
    parser = argparse.ArgumentParser(description=about.split("\n", 1)[0])
    parser.add_argument("sentences", nargs="?", type=Path, help="a TSV with a column 'sentence', such as SST-2's dev")
    parser.add_argument("--vocab", type=Path, help="a WordPiece vocabulary; made up when left out")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it runs")
    return parser


def read_sentences(path: Path | None, count: int) -> list[str]:
    """Some sentences of a file, drawn with a fixed seed; made up without one: 12.8 words in the mean."""
    if path is None:
        return made_up_sentences(count)
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    column = header.split("\t").index("sentence")
    texts = sorted({line.split("\t")[column].strip() for line in lines})
    return random.Random(0).sample(texts, min(count, len(texts)))


def made_up_words(count: int = 4_000) -> list[str]:
    """Words of letters, the same in every process."""
    dice = random.Random(1)
    return sorted({"".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=dice.randint(3, 9))) for _ in range(count)})


def names(count: int) -> list[str]:
    """So many distinct words of letters."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return ["zz" + "".join(letters[number // 26**place % 26] for place in range(4)) for number in range(count)]


def made_up_sentences(count: int) -> list[str]:
    """Sentences of made-up words, one in fourteen of them two words grown together, between stop-words."""
    dice, words = random.Random(2), made_up_words()
    often = ("the", "of", "a", "and", "is", "in", "it", "that")
    found = set()
    while len(found) < count:
        length = max(1, round(dice.gauss(12.8, 6)))
        drawn = [
            dice.choice(often)
            if dice.random() < 0.45
            else dice.choice(words) + (dice.choice(words) if dice.random() < 0.07 else "")
            for _ in range(length)
        ]
        found.add(" ".join(drawn))
    return sorted(found, key=lambda _: dice.random())


def wordpiece(vocab: Path | None) -> PreTrainedTokenizerFast:
    """An uncased WordPiece tokenizer with a vocabulary of a file, or of the made-up words."""
    if vocab is None:
        words = made_up_words()
        letters = list("abcdefghijklmnopqrstuvwxyz")
        often = ["the", "of", "a", "and", "is", "in", "it", "that"]
        tokens = [*SPECIAL, *letters, *often, *words, *(f"##{piece}" for piece in (*letters, *words))]
    else:
        tokens = vocab.read_text(encoding="utf-8").splitlines()
    ids = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    backend = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))  # noqa: S106 - no password
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    named = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    return PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=512, **named)


def masked_lm(size: str, vocabulary: int, device: str = "cpu") -> PreTrainedModel:
    """A BERT with a masked-LM head and random weights."""
    torch.manual_seed(0)
    return BertForMaskedLM(BertConfig(vocab_size=vocabulary, **SHAPES[size])).to(device).eval()


def made_up_vectors(words: Sequence[str], dimension: int = 300) -> NDArray[np.float32]:
    """A vector of length one for each word."""
    matrix = np.random.default_rng(0).normal(size=(len(words), dimension)).astype(np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def print_machine(device: str = "cpu") -> None:
    """Print what the figures were measured on."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    where = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    print(
        f"{names[0] if names else platform.processor()}, {len(names)} cores, {where}, "
        f"torch {torch.__version__}, {time.strftime('%Y-%m-%d')}"
    )
