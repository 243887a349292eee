"""Against a literal, slow reading of algorithm 1: one mask, one full forward, one argsort at a time."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
)

from pipeline.augmentation.candidates.masked_lm import MaskedLM
from pipeline.augmentation.candidates.table import CandidateTable
from pipeline.augmentation.candidates.vectors import from_input_embeddings
from pipeline.augmentation.words.protection import STOP_WORDS
from pipeline.config.words import WordsConfig
from pipeline.errors import ConfigError, ModelError
from pipeline.models.mlm import mlm_head
from pipeline.models.speed.partial_forward import partial_forward

K = 9
PAPER = WordsConfig(negations=False)  # its list of stop-words alone says what stays


def literal_candidates(text, model, tokenizer, vectors, *, context, k=K, company=None):
    """Algorithm 1, lines 1 to 12, for a lower-casing WordPiece tokenizer and BERT-like segments.

    ``company`` names for a word the others that are masked together with it.
    """
    model = model.eval()
    encoding = tokenizer(text, add_special_tokens=False)
    tokens, word_ids = encoding.tokens(0), encoding.word_ids(0)
    found = {}
    for word_id in dict.fromkeys(word_ids):
        mine = [at for at, other in enumerate(word_ids) if other == word_id]
        word = "".join(tokens[at].removeprefix("##") for at in mine)
        if not word.isalpha() or word in STOP_WORDS or "[UNK]" in tokens[mine[0]]:
            continue
        if len(mine) > 1:
            query = vectors.matrix[vectors.words.index(word)] if word in vectors.words else None
            order = [] if query is None else np.argsort(-(vectors.matrix @ query), kind="stable")
            near = [vectors.words[i] for i in order if vectors.words[i].lower() != word][:k]
            proposals = [other.lower() for other in near]
        else:
            masked = list(tokens)
            for other in (company or {}).get(word_id, [word_id]) if context != "unmasked" else []:
                masked[word_ids.index(other)] = "[MASK]"
            line = ["[CLS]", *masked, "[SEP]"]
            types = [0] * len(line)
            if context == "paired":
                line += [*tokens, "[SEP]"]
                types += [1] * (len(tokens) + 1)
            ids = torch.tensor([tokenizer.convert_tokens_to_ids(line)])
            with torch.no_grad():
                logits = model(input_ids=ids, token_type_ids=torch.tensor([types])).logits[0, 1 + mine[0]]
            order = torch.argsort(logits, descending=True).tolist()
            proposals = tokenizer.convert_ids_to_tokens(order)
            if context == "unmasked":
                proposals.remove(word)
            proposals = proposals[:k]
        kept = {other for other in proposals if other.isalpha() and other != word}
        if kept:
            found[word_id] = kept
    model.train()
    return found


def build(texts, model, tokenizer, vectors, *, context="paired", k=K, **options):
    mlm = MaskedLM(
        model, tokenizer, head=mlm_head(model), partial_forward=partial_forward(model), context=context, **options
    )
    return CandidateTable(tokenizer, mlm, vectors, k, PAPER).build(texts)


@pytest.mark.parametrize("context", ["paired", "masked", "unmasked"])
@pytest.mark.parametrize("family", ["bert", "electra"])
def test_candidates_are_those_of_the_literal_algorithm(request, family, context, wordpiece, vectors):
    model, sentences = request.getfixturevalue(family), request.getfixturevalue("sentences")
    table = build([*sentences, *sentences], model, wordpiece, vectors, context=context)
    num_words = 0
    for text in sentences:
        expected = literal_candidates(text, model, wordpiece, vectors, context=context)
        got = table[text].words
        assert {at: set(words) for at, words in got.items()} == expected
        assert all(len(set(words)) == len(words) for words in got.values())
        num_words += len(got)
    assert num_words > 25


def masked_together(text, tokenizer, vectors, most):
    """For each single-piece word that is replaced, those that share a pass with it: as far apart as can be."""
    encoding = tokenizer(text, add_special_tokens=False)
    word_ids = encoding.word_ids(0)
    split = CandidateTable(tokenizer, None, vectors, 1, PAPER).build([text])[text].sentence
    alone = [at for at in split.replaceable if word_ids.count(at) == 1]
    passes = math.ceil(len(alone) / (most or len(alone))) if alone else 0
    groups = [[at for place, at in enumerate(alone) if place % passes == number] for number in range(passes)]
    assert all(len(group) <= (most or len(alone)) for group in groups)
    return {at: group for group in groups for at in group}


@pytest.mark.parametrize("context", ["paired", "masked"])
@pytest.mark.parametrize("masks", [2, 3, None])
def test_several_masks_a_pass_are_those_of_the_literal_algorithm(bert, wordpiece, vectors, sentences, context, masks):
    table = build(sentences, bert, wordpiece, vectors, context=context, masks=masks)
    one = build(sentences, bert, wordpiece, vectors, context=context)
    num_shared = 0
    for text in sentences:
        company = masked_together(text, wordpiece, vectors, masks)
        num_shared += sum(len(group) > 1 for group in company.values())
        expected = literal_candidates(text, bert, wordpiece, vectors, context=context, company=company)
        assert {at: set(words) for at, words in table[text].words.items()} == expected
    assert num_shared > 5
    assert table != one


def test_masks_beyond_the_words_of_a_sentence_are_all_of_them(bert, wordpiece, vectors, sentences):
    assert build(sentences, bert, wordpiece, vectors, masks=99) == build(
        sentences, bert, wordpiece, vectors, masks=None
    )
    unmasked = [build(sentences, bert, wordpiece, vectors, context="unmasked", masks=masks) for masks in (1, None)]
    assert unmasked[0] == unmasked[1]


def test_contexts_differ(bert, wordpiece, vectors, sentences):
    tables = [build(sentences, bert, wordpiece, vectors, context=c) for c in ("paired", "masked", "unmasked")]
    lists = [[found.words for found in table.values()] for table in tables]
    assert lists[0] != lists[1] != lists[2] != lists[0]


@pytest.mark.parametrize("context", ["paired", "masked", "unmasked"])
def test_batch_size_and_order_do_not_matter(bert, wordpiece, vectors, sentences, context):
    one = build(sentences, bert, wordpiece, vectors, context=context, max_tokens=1)
    many = build(reversed(sentences), bert, wordpiece, vectors, context=context, max_tokens=10_000)
    assert {text: one[text].words for text in sentences} == {text: many[text].words for text in sentences}


def test_the_model_is_evaluated_and_left_as_it_was(bert, wordpiece, vectors, sentences):
    bert.train()
    first = build(sentences, bert, wordpiece, vectors)
    assert bert.training
    assert build(sentences, bert, wordpiece, vectors) == first  # dropout would tell


@pytest.mark.parametrize("context", ["paired", "masked"])
def test_a_byte_level_vocabulary_proposes_whole_words(roberta, byte_level, sentences, context):
    vectors = from_input_embeddings(roberta, byte_level)
    table = build(sentences, roberta, byte_level, vectors, context=context, k=60)
    known = {token.casefold() for token in byte_level.get_vocab()}
    num_words = 0
    for found in table.values():
        for at, words in found.words.items():
            sentence = found.sentence
            if len(sentence.pieces[at]) == 1:
                marker = "Ġ" if sentence.marked[at] else ""
                assert {(marker + word).casefold() for word in words} <= known
            assert sentence.words[at] not in words
            num_words += 1
    assert num_words > 10


def test_head_at_rows_equals_the_models_own_logits(request, wordpiece, byte_level):
    families = {"bert": wordpiece, "electra": wordpiece, "distilbert": wordpiece, "roberta": byte_level}
    for family, tokenizer in families.items():
        model = request.getfixturevalue(family).eval()
        ids = tokenizer("a gripping movie", return_tensors="pt")["input_ids"]
        with torch.no_grad():
            hidden = model.base_model(input_ids=ids)[0]
            torch.testing.assert_close(mlm_head(model)(hidden[0]), model(input_ids=ids).logits[0])


def test_hidden_states_at_places_are_those_of_the_whole_model(request, wordpiece, byte_level):
    families = {"bert": wordpiece, "electra": wordpiece, "distilbert": wordpiece, "roberta": byte_level}
    rows, columns = [0, 1, 1, 2], [3, 1, 2, 4]
    for family, tokenizer in families.items():
        model = request.getfixturevalue(family).eval()
        ids = tokenizer("a gripping movie never dull", return_tensors="pt")["input_ids"].repeat(3, 1)
        with torch.no_grad():
            whole = model.base_model(input_ids=ids)[0]
            torch.testing.assert_close(partial_forward(model)({"input_ids": ids}, rows, columns), whole[rows, columns])
            torch.testing.assert_close(model.base_model(input_ids=ids)[0], whole)  # it is left as it was


def test_threads_share_a_model_each_with_places_of_its_own(bert, wordpiece):
    batches = [wordpiece(" ".join(["fox dog"] * count), return_tensors="pt")["input_ids"] for count in range(2, 26)]
    at = partial_forward(bert.eval())

    def some(number: int) -> torch.Tensor:
        with torch.no_grad():
            return at({"input_ids": batches[number]}, [0, 0], [number % 4, number])

    alone = [some(number) for number in range(24)]
    with ThreadPoolExecutor(4) as pool:
        for number, found in enumerate(pool.map(some, list(range(24)) * 4)):
            assert torch.equal(found, alone[number % 24])


def test_distilbert_has_no_segments_and_works(distilbert, wordpiece, sentences):
    table = build(sentences, distilbert, wordpiece, None)
    assert any(found.words for found in table.values())


def test_without_a_masked_lm_every_word_has_its_neighbours(wordpiece, vectors, sentences):
    table = CandidateTable(wordpiece, None, vectors, 4, PAPER).build(sentences)
    found = table[sentences[0]]
    words = found.sentence.words
    assert [words[at] for at in found.words] == ["quick", "brown", "fox", "jumps", "lazy", "dog"]
    for at, candidates in found.words.items():
        near = vectors.neighbours(words[at], 4)
        assert candidates == tuple(dict.fromkeys(word.lower() for word in near if word.isalpha()))


@pytest.mark.parametrize("context", ["paired", "masked", "unmasked"])
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_words_beyond_the_positions_stay_and_are_counted(request, family, context, wordpiece, byte_level):
    tokenizer = {"bert": wordpiece, "roberta": byte_level}[family]
    text = " ".join(["fox"] * 1000)
    found = build([text], request.getfixturevalue(family), tokenizer, None, context=context)[text]
    pieces = [len(pieces) for pieces in found.sentence.pieces]
    seen = int((np.cumsum(pieces) <= 62).sum())  # 64 positions less two special tokens
    assert found.num_beyond == 1000 - seen
    assert max(found.words, default=0) < seen


def test_a_pair_that_does_not_fit_is_cut_from_its_end(bert, wordpiece):
    text = " ".join(["fox", *["dog"] * 40])  # 41 + 41 + 3 pieces: 20 of the second sentence fit into 64
    found = build([text], bert, wordpiece, None)[text]
    ids = wordpiece(text, add_special_tokens=False)["input_ids"]
    line = [2, wordpiece.mask_token_id, *ids[1:], 3, *ids[:20], 3]
    types = [0] * 43 + [1] * 21
    with torch.no_grad():
        logits = bert.eval()(input_ids=torch.tensor([line]), token_type_ids=torch.tensor([types])).logits[0, 1]
    tokens = wordpiece.convert_ids_to_tokens(logits.topk(K).indices.tolist())
    assert set(found.words[0]) == {other for other in tokens if other.isalpha()} - {"fox"}
    assert found.num_beyond == 0


@pytest.mark.parametrize("text", ["", " ", "😀", "the", ".", "\x00\x07", "fox", "中文", "42"])
@pytest.mark.parametrize("context", ["paired", "unmasked"])
def test_odd_texts_pass(bert, wordpiece, vectors, text, context):
    found = build([text], bert, wordpiece, vectors, context=context)[text]
    assert bool(found.words) == (text == "fox")


def test_a_model_without_a_head_is_refused(wordpiece):
    small = BertConfig(vocab_size=200, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    for model in (BertModel(small), BertForSequenceClassification(small)):
        with pytest.raises(ModelError, match="no masked-LM head: name a model with one") as error:
            MaskedLM(model, wordpiece, head=mlm_head(model))
        assert "\n" not in str(error.value)


def test_a_tokenizer_without_a_mask_is_refused_unless_none_is_needed(bert, wordpiece):
    bare = PreTrainedTokenizerFast(tokenizer_object=wordpiece.backend_tokenizer)
    with pytest.raises(ModelError, match="has no mask token"):
        MaskedLM(bert, bare, head=mlm_head(bert))
    assert MaskedLM(bert, bare, head=mlm_head(bert), context="unmasked").max_pieces == 62


def test_a_foreign_tokenizer_is_refused(wordpiece):
    config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    with pytest.raises(ModelError, match=f"token ids up to {len(wordpiece) - 1}, BertForMaskedLM knows 20"):
        MaskedLM(BertForMaskedLM(config), wordpiece, head=mlm_head(BertForMaskedLM(config)))


def test_neither_model_nor_vectors_is_a_contradiction(wordpiece):
    with pytest.raises(ConfigError, match="both empty"):
        CandidateTable(wordpiece, None, None, 5)
