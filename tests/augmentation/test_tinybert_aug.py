import random

import numpy as np
import pytest
from nlpaug.augmenter.char import KeyboardAug
from nlpaug.augmenter.word import RandomWordAug
from nlpaug.flow import Sequential, Sometimes

from pipeline.augmentation.augmenters.tinybert import TinyBertAug
from pipeline.augmentation.candidates.masked_lm import MaskedLM
from pipeline.augmentation.candidates.table import CandidateTable
from pipeline.models.mlm import mlm_head


@pytest.fixture
def table(bert, wordpiece, vectors) -> CandidateTable:
    return CandidateTable(wordpiece, MaskedLM(bert, wordpiece, head=mlm_head(bert)), vectors, 8)


def test_the_same_seed_gives_the_same_texts_whatever_the_global_state(table, sentences):
    random.seed(1)
    first = TinyBertAug(table, seed=3)
    made = [first.augment(text, n=4) for text in sentences]
    random.seed(2)
    np.random.seed(9)  # noqa: NPY002 - the state nlpaug draws from
    second = TinyBertAug(table, seed=3)
    second.prime(sentences)
    assert [second.augment(text, n=4) for text in sentences] == made
    assert [TinyBertAug(table, seed=4).augment(text, n=4) for text in sentences] != made


def test_variants_are_distinct_and_made_of_candidates(table, sentences):
    made = TinyBertAug(table, probability=0.7).augment(sentences[0], n=12)
    found = table.build([sentences[0]])[sentences[0]]
    assert 6 < len(made) == len(set(made)) <= 12
    for text in made:
        words = [word.strip(".") for word in text.split()]
        for at, word in enumerate(words):
            assert word in {found.sentence.words[at], *found.words.get(at, ())}


def test_a_probability_of_zero_replaces_nothing_and_of_one_everything(table, sentences):
    assert TinyBertAug(table, probability=0.0).augment(sentences[0], n=3) == [sentences[0]]
    found = table.build([sentences[0]])[sentences[0]]
    (made,) = TinyBertAug(table, probability=1.0).augment(sentences[0])
    before, after = found.sentence.words, made.rstrip(".").split()
    changed = [at for at, word in enumerate(after) if word != before[at]]
    assert changed == list(found.words)
    assert len(changed) == 6


def test_lists_give_one_text_each_and_empty_texts_pass(table, sentences):
    made = TinyBertAug(table).augment(["", *sentences, " fox "], num_thread=4)
    assert len(made) == len(sentences) + 2
    assert made[0] == ""
    assert all(isinstance(text, str) for text in made)
    assert TinyBertAug(table).augment("") == []
    assert isinstance(TinyBertAug(table).substitute("  the fox "), str)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("stock", [KeyboardAug, lambda: RandomWordAug(action="swap")])
def test_it_works_in_a_sequence_beside_a_stock_augmenter(table, sentences, stock, first):
    def run():
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        aug = TinyBertAug(table, seed=1, probability=1.0)
        aug.prime(sentences)
        flow = Sequential([aug, stock()] if first else [stock(), aug])
        return [flow.augment(text, n=3) for text in sentences]

    made = run()
    assert made == run()
    for text, variants in zip(sentences, made, strict=True):
        assert 1 <= len(variants) <= 3
        assert all(isinstance(variant, str) and len(variant) > 1 for variant in variants)
        assert text.lower() not in [variant.lower() for variant in variants]


@pytest.mark.parametrize("aug_p", [0.0, 0.5, 1.0])
def test_it_works_in_a_flow_that_is_only_sometimes_drawn(table, sentences, aug_p):
    np.random.seed(0)  # noqa: NPY002
    aug = TinyBertAug(table, seed=1)
    flow = Sometimes([aug, RandomWordAug(action="swap")], aug_p=aug_p)
    for text in sentences:
        variants = flow.augment(text, n=3)
        assert all(isinstance(variant, str) and len(variant) > 1 for variant in variants)
        assert len(set(variants)) == len(variants)
        if aug_p == 0.0:
            assert variants == [text]


def test_primed_texts_are_forgotten_when_there_are_many_and_come_back_the_same(table, sentences, monkeypatch):
    free = TinyBertAug(table, seed=3)
    wanted = [free.augment(text, n=2) for text in sentences * 2]
    monkeypatch.setattr("pipeline.augmentation.augmenters.tinybert.PRIMED", 2)
    tight = TinyBertAug(table, seed=3)
    for text, made in zip(sentences * 2, wanted, strict=True):
        assert tight.augment(text, n=2) == made
        assert len(tight._primed) <= 3
    assert set(tight.prime(sentences)) >= set(sentences)
