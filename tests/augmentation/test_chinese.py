"""Chinese end to end on a made-up model: words, candidates of one script, spaces where the user put them."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

from pipeline.augmentation.augmenters.flow import make_flow
from pipeline.augmentation.candidates.masked_lm import MaskedLM
from pipeline.augmentation.candidates.table import CandidateTable
from pipeline.augmentation.candidates.vectors import for_words, from_input_embeddings, with_words
from pipeline.augmentation.variants.draw import Row, augment_rows
from pipeline.augmentation.words.script_and_case import scripts
from pipeline.augmentation.words.words import WordSplitter
from pipeline.config.augmentation import AugmentationConfig
from pipeline.config.words import WordsConfig
from pipeline.errors import ModelError
from pipeline.models.mlm import mlm_head

MARKS = "\uff0c\u3002\uff01"  # comma, full stop, exclamation mark, all of full width
ROWS = [
    "这部电影非常好看\uff0c演员也不错\uff01",
    "我不喜欢这个酒店 房间太小。",
    "iPhone 手机的 screen 很漂亮",
    "服务态度好。",
]
CHINESE = WordsConfig(language="chinese")
JIEBA = WordsConfig(language="chinese", segmentation="jieba")


def named(**tokens: str) -> dict[str, str]:
    return {f"{name}_token": token for name, token in tokens.items()}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    characters = sorted(
        {c for row in ROWS for c in row if "\u4e00" <= c <= "\u9fff"} | set("影片旅馆屏幕优美难差房屋大")
    )
    latin = ["iphone", "screen", "phone", "good", "film", *"abcdefghijklmnopqrstuvwxyz"]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *MARKS, ".", *characters, *latin]
    backend = Tokenizer(models.WordPiece({token: at for at, token in enumerate(tokens)}, **named(unk="[UNK]")))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = named(unk="[UNK]", cls="[CLS]", sep="[SEP]", pad="[PAD]", mask="[MASK]")
    return PreTrainedTokenizerFast(tokenizer_object=backend, **special)


@pytest.fixture(scope="module")
def model(tokenizer) -> BertForMaskedLM:
    torch.manual_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    return BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **size))


def replaceable(tokenizer, text, words):
    sentence = WordSplitter(tokenizer, words)(text)
    return [sentence.words[at] for at in sentence.replaceable]


def test_the_spaces_are_the_users(tokenizer):
    split = WordSplitter(tokenizer, CHINESE)
    for text in [*ROWS, "a中 b", "中 文", "中文abc 中"]:
        assert split(text).text() == text.lower()


def test_characters_are_words_and_negations_stay(tokenizer):
    assert replaceable(tokenizer, ROWS[1], CHINESE) == ["喜", "欢", "酒", "店", "房", "间", "小"]


def test_jieba_makes_words_of_characters(tokenizer):
    pytest.importorskip("jieba")
    sentence = WordSplitter(tokenizer, JIEBA)(ROWS[1])
    assert sentence.words == ("我", "不", "喜欢", "这个", "酒店", "房间", "太小", "。")
    assert sentence.ids() == tokenizer(ROWS[1], add_special_tokens=False)["input_ids"]
    assert [len(pieces) for pieces in sentence.pieces] == [1, 1, 2, 2, 2, 2, 2, 1]
    assert sentence.spaced[5]
    assert replaceable(tokenizer, ROWS[1], JIEBA) == ["喜欢", "酒店", "房间", "太小"]
    assert "不错" not in replaceable(tokenizer, ROWS[0], JIEBA)
    protecting = JIEBA.model_copy(update={"protect": ("店",), "protect_patterns": ("房.",)})
    assert replaceable(tokenizer, ROWS[1], protecting) == ["喜欢", "太小"]


def test_a_clause_is_no_word(byte_level, tokenizer):
    assert replaceable(byte_level, "电影好看 fox", WordsConfig()) == ["fox"]
    assert replaceable(tokenizer, "ภาษาไทย ひらがな phone", CHINESE) == ["phone"]
    pytest.importorskip("jieba")
    with pytest.raises(ModelError, match="does not split Chinese text into characters") as error:
        WordSplitter(byte_level, JIEBA)
    assert "\n" not in str(error.value)


def variants(tokenizer, model, words, vectors):
    mlm = MaskedLM(model, tokenizer, head=mlm_head(model))
    table = CandidateTable(tokenizer, mlm, vectors, 20, words=words)
    config = AugmentationConfig(
        words=words, augmenters=({"tinybert": {"probability": 0.6}}, {"ngram": {}, "rows": 0.1})
    )
    rows = [Row(number, text) for number, text in enumerate(ROWS)]
    return list(augment_rows(rows, make_flow(config, table), variants=8, seed=2)), table.build(ROWS)


@pytest.mark.parametrize("words", [CHINESE, JIEBA], ids=["characters", "jieba"])
def test_no_word_is_replaced_by_one_of_another_script(tokenizer, model, words):
    vectors = from_input_embeddings(model, tokenizer)
    if words is JIEBA:
        pytest.importorskip("jieba")
        vectors = for_words(vectors, tokenizer, words)
    made, found = variants(tokenizer, model, words, vectors)
    assert len(made) > 15
    num_words = 0
    for candidates in found.values():
        for at, others in candidates.words.items():
            word = candidates.sentence.words[at]
            assert all(scripts(other) == scripts(word) for other in others)
            num_words += 1
            if words is JIEBA and len(word) > 1 and not word.isascii():
                assert any(len(other) > 1 for other in others)
    assert num_words > 12
    assert all("  " not in variant.text for variant in made)
    assert all("不" in variant.text for variant in made if variant.origin_id == 1 and len(variant.text) > 8)


def test_composed_words_stand_where_their_characters_put_them(tokenizer, model):
    vectors = from_input_embeddings(model, tokenizer)
    wider = with_words(vectors, ["电影", "影片", "电"])
    assert wider.words == [*vectors.words, "电影", "影片"]
    np.testing.assert_allclose(wider.matrix[wider.words.index("电影")], vectors.vector("电影"), rtol=1e-5)
    assert "影片" in wider.neighbours("电影", 3)
    assert with_words(vectors, ["电"]) is vectors
    assert for_words(vectors, tokenizer, CHINESE) is vectors


def test_only_words_that_can_be_spelled_are_composed(tokenizer, model):
    pytest.importorskip("jieba")
    vectors = from_input_embeddings(model, tokenizer)
    added = for_words(vectors, tokenizer, JIEBA).words[len(vectors.words) :]
    assert "电影" in added
    assert len(added) > 20
    characters = set(tokenizer.get_vocab())
    assert all(set(word) <= characters for word in added)
