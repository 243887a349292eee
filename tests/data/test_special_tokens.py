"""Names of special tokens in a text are text, to every kind of tokenizer, in a row and in a corpus."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
)

from pipeline.config.augmenters import HOLE
from pipeline.data.corpus.files import build_corpus
from pipeline.data.tokens.table import TokenTable
from pipeline.data.tokens.tokenizer import load_tokenizer, train_wordpiece
from pipeline.engine.rows import write_rows
from pipeline.models.load import save_model
from pipeline.progress import Silent

LETTERS = "abcdefghijklmnopqrstuvwxyz"
MARKS = "<>/[]|"


def saved(tokenizer: PreTrainedTokenizerFast, folder: Path) -> PreTrainedTokenizerFast:
    tokenizer.save_pretrained(folder)
    return load_tokenizer(str(folder))


def wordpiece(folder: Path) -> PreTrainedTokenizerFast:
    return saved(train_wordpiece([f"a film {' '.join(LETTERS)} {' '.join(MARKS)}"] * 3, 200), folder)


def framed(model: models.Model, before: pre_tokenizers.PreTokenizer, ids: tuple[int, int]) -> PreTrainedTokenizerFast:
    """A tokenizer in the manner of RoBERTa."""
    backend = Tokenizer(model)
    backend.pre_tokenizer = before
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", ids[0]), ("</s>", ids[1])]
    )
    named = {"bos": "<s>", "eos": "</s>", "cls": "<s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, **{f"{name}_token": token for name, token in named.items()}
    )


def sentencepiece(folder: Path) -> PreTrainedTokenizerFast:
    """As XLM-R's: the names of its special tokens are pieces of its vocabulary, and the likeliest ones."""
    special = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("[SEP]", 0.0)]
    pieces = [*special, ("\u2581", -3.0), *((one, -6.0) for one in LETTERS + MARKS + LETTERS.upper())]
    tokenizer = framed(models.Unigram(pieces, unk_id=3), pre_tokenizers.Metaspace(), (0, 2))
    tokenizer.backend_tokenizer.normalizer = normalizers.NFKC()
    return saved(tokenizer, folder)


def byte_level(folder: Path) -> PreTrainedTokenizerFast:
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {token: number for number, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *sorted(alphabet)])}
    tokenizer = framed(models.BPE(vocabulary, []), pre_tokenizers.ByteLevel(add_prefix_space=False), (0, 2))
    tokenizer.backend_tokenizer.decoder = decoders.ByteLevel()
    return saved(tokenizer, folder)


KINDS = {"wordpiece": wordpiece, "sentencepiece": sentencepiece, "byte_level": byte_level}


@pytest.fixture(params=KINDS)
def tokenizer(request: pytest.FixtureRequest, tmp_path: Path) -> PreTrainedTokenizerFast:
    return KINDS[request.param](tmp_path / "tokenizer")


def table(*texts: str, pair: str | None = None, labels: bool = True) -> pa.Table:
    columns = {"row_id": list(range(len(texts))), "text": list(texts)}
    if pair:
        columns["text_pair"] = [pair] * len(texts)
    if labels:
        columns["label"] = [0] * len(texts)
    return pa.table(columns)


def encoded(tables: pa.Table, tokenizer: PreTrainedTokenizerFast, folder: Path) -> list[list[int]]:
    rows = write_rows(folder, [tables], tokenizer, max_length=200, progress=Silent())
    batch = rows.rows(np.arange(len(rows)))
    return [ids[mask].tolist() for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)]


def specials(ids: list[int], tokenizer: PreTrainedTokenizerFast) -> list[int]:
    return [token for token in ids if token in tokenizer.all_special_ids and token != tokenizer.unk_token_id]


def hostile(tokenizer: PreTrainedTokenizerFast) -> str:
    names = [name for name in tokenizer.all_special_tokens if name != tokenizer.unk_token]
    return " ".join([*names, *(f"a{name}b" for name in names), "\uff1cs\uff1e [SEP]"])  # wide marks become narrow ones


def test_a_row_cannot_forge_a_boundary(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    (plain,) = encoded(table("a film", pair="a b"), tokenizer, tmp_path / "plain")
    (forged,) = encoded(table(hostile(tokenizer), pair=hostile(tokenizer)), tokenizer, tmp_path / "forged")
    assert specials(forged, tokenizer) == specials(plain, tokenizer)
    assert len(forged) > len(plain) + 40  # it is all there, letter by letter


def test_a_corpus_cannot_either(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    build_corpus([[hostile(tokenizer)]], tokenizer, tmp_path / "corpus", max_length=400)
    ids = TokenTable.open(tmp_path / "corpus").rows([0])["input_ids"][0].tolist()
    assert specials(ids, tokenizer) == [ids[0], ids[-1]]


def test_a_hole_is_a_hole_and_a_users_marker_beside_it_is_not(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    variants = table(f"a {HOLE}[MASK] b {tokenizer.mask_token} c [MASK]", labels=False)
    (ids,) = encoded(variants, tokenizer, tmp_path / "variants")
    assert ids.count(tokenizer.mask_token_id) == 1
    assert max(ids) < len(tokenizer)
    (own,) = encoded(table(f"a {HOLE}[MASK]"), tokenizer, tmp_path / "own")
    assert tokenizer.mask_token_id not in own  # in a user's own row it is no hole


def test_who_asks_a_saved_classifier_is_read_as_in_training(tmp_path: Path) -> None:
    tokenizer = wordpiece(tmp_path / "tokenizer")
    shape = {"vocab_size": len(tokenizer), "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
    torch.manual_seed(0)
    config = BertConfig(**shape, intermediate_size=8)
    save_model(BertForSequenceClassification(config), tokenizer, tmp_path / "student", max_length=16)
    (learned,) = encoded(table("a [SEP] b"), tokenizer, tmp_path / "rows")
    assert AutoTokenizer.from_pretrained(tmp_path / "student")("a [SEP] b")["input_ids"] == learned
    save_model(BertForMaskedLM(config), tokenizer, tmp_path / "lm", max_length=16)  # which is asked with its mask
    assert tokenizer.mask_token_id in AutoTokenizer.from_pretrained(tmp_path / "lm")("a [MASK] b")["input_ids"]
