"""A run on Chinese rows through the real stages up to the teacher's logits: no word leaves its script."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from pyarrow import parquet
from tiny_run import Tiny, tiny, write_csv
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

from pipeline.augmentation.candidates.files import StoredCandidates
from pipeline.augmentation.variants.shards import open_batches
from pipeline.augmentation.words.script_and_case import scripts
from pipeline.errors import ConfigError

PLACES = ("酒店", "餐厅", "商店", "电影院", "图书馆")
THINGS = ("房间", "服务", "味道", "环境", "屏幕", "iPhone", "wifi")
PRAISE = ("干净", "漂亮", "热情", "舒服", "不错")
BLAME = ("糟糕", "肮脏", "冷淡", "吵闹", "不好")
MORE = "旅馆影片优美难看快乐手机朋友开心喜欢明亮"
LATIN = ("iphone", "wifi", "phone", "screen", "good", "film", *"abcdefghijklmnopqrstuvwxyz")
MARKS = "\uff0c\u3002\uff01"  # comma, full stop, exclamation mark, all of full width
CHINESE = ("augmentation.words.language=chinese", "task.unlabelled=[]")
HAN, LETTERS = re.compile("[\u4e00-\u9fff]+"), re.compile("[a-z]+")


def reviews(count: int, seed: int) -> Iterator[tuple[str, str]]:
    dice = random.Random(seed)
    for number in range(count):
        words, topic = ((PRAISE, "好评"), (BLAME, "差评"))[number % 2]
        one, other = dice.sample(THINGS, 2)
        end = dice.choice(("\u3002", "\uff01", ""))
        yield f"这家{dice.choice(PLACES)}的 {one} 很{dice.choice(words)}\uff0c{other}也{dice.choice(words)}{end}", topic


def save_chinese_teacher(folder: Path) -> None:
    """A random BERT with a masked-LM head whose vocabulary is characters, and some Latin words."""
    rows = "".join(text for text, _ in reviews(200, 0)) + "".join((*PLACES, *THINGS, *PRAISE, *BLAME, MORE))
    characters = sorted(set("".join(HAN.findall(rows))))
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *MARKS, *characters, *LATIN]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106 - no password
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=48, **special).save_pretrained(folder)
    torch.manual_seed(2)
    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertForMaskedLM(BertConfig(vocab_size=len(tokens), max_position_embeddings=48, **size)).save_pretrained(folder)


@pytest.fixture
def run(tmp_path: Path) -> Tiny:
    made = tiny(tmp_path)
    save_chinese_teacher(made.folder / "teacher")
    write_csv(made.folder / "train.csv", ("sentence", "topic"), list(reviews(24, 1)))
    write_csv(made.folder / "dev.csv", ("sentence", "topic"), list(reviews(12, 2)))
    return made


def outline(text: str) -> str:
    """A text with 汉 for each stretch of Chinese and a for each Latin one; marks and spaces as they are."""
    return LETTERS.sub("a", HAN.sub("汉", text.lower()))


@pytest.mark.parametrize("segmentation", ["tokenizer", "jieba", "halves:cut"])
def test_a_chinese_word_is_replaced_by_a_chinese_one_up_to_the_logits(
    run: Tiny, segmentation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if segmentation == "jieba":
        pytest.importorskip("jieba")
    (run.folder / "halves.py").write_text("cut = lambda text: [text[at : at + 2] for at in range(0, len(text), 2)]\n")
    monkeypatch.syspath_prepend(str(run.folder))
    changes = (*CHINESE, f"augmentation.words.segmentation={segmentation}", "augmentation.candidates=15")
    run.run(*changes, until="teacher_logits")
    rows = {
        row["row_id"]: row["text"] for row in parquet.read_table(run.path("task_data") / "train.parquet").to_pylist()
    }
    variants = parquet.read_table(run.path("augmentation") / "variants.parquet").to_pylist()
    assert len(variants) > 24
    for variant in variants:
        origin, text = rows[variant["origin_id"]], variant["text"]
        assert outline(text) == outline(origin)
        assert text.count("不") == origin.count("不")
    others = [HAN.findall(variant["text"]) != HAN.findall(rows[variant["origin_id"]]) for variant in variants]
    assert sum(others) > 20
    numbers = open_batches(run.path("candidates") / "rows.arrow").get_batch(0)["text"].to_numpy()
    lengths = set()
    for found in StoredCandidates(run.path("candidates")).read(numbers).values():
        for at, candidates in found.words.items():
            assert {scripts(other) for other in candidates} == {scripts(found.sentence.words[at])}
            lengths |= {len(other) for other in candidates if HAN.fullmatch(other)}
    assert (max(lengths) > 1) == (segmentation == "jieba")
    quality = json.loads((run.path("teacher_logits") / "quality.json").read_text(encoding="utf-8"))
    assert quality["variants"] == len(variants)
    assert 0 < quality["replacement_rate"] < 1
    assert {one["original_label"].split()[0] for one in quality["examples"]} <= {"好评", "差评"}


def test_other_augmenters_keep_to_the_script_as_well(run: Tiny) -> None:
    listed = "[{tinybert: {}}, {mask: {probability: 0.2}}, {random_word: {action: swap}, rows: 0.5}, {keyboard: {}}]"
    run.run(*CHINESE, f"augmentation.augmenters={listed}", until="augmentation")
    made = parquet.read_table(run.path("augmentation") / "variants.parquet")["text"].to_pylist()
    assert any("[MASK]" in text for text in made)
    assert all(text.count("[") == text.count("[MASK]") for text in made)
    assert not any(" \uff0c" in text for text in made)
    assert run.artifact("augmentation").metrics["failed_draws"] == 0
    assert 0 < run.artifact("augmentation").metrics["replacement_rate"] <= 1


def test_the_name_of_a_segmenter_is_part_of_what_it_makes(run: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (run.folder / f"cutter_{name}.py").write_text("def cut(text):\n    return list(text)\n")
    monkeypatch.syspath_prepend(str(run.folder))
    first, second = (f"augmentation.words.segmentation=cutter_{name}:cut" for name in ("one", "two"))
    run.run(*CHINESE, first, until="candidates")
    assert run.plan(*CHINESE, first)["candidates"].action == "reuse"
    assert run.plan(*CHINESE, second)["candidates"].action == "run"
    with pytest.raises(ConfigError, match="segmentation 'cutter_three:cut' cannot be imported: No module named"):
        run.plan(*CHINESE, "augmentation.words.segmentation=cutter_three:cut")
