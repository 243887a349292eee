import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.augmentation.augmenters.tinybert import TinyBertAug
from pipeline.augmentation.candidates.table import Candidates, CandidateTable
from pipeline.augmentation.variants.draw import Row, augment_rows, distinct, draw_all
from pipeline.augmentation.words.words import Sentence


def plain(words: str, choices: dict[int, tuple[str, ...]]) -> Candidates:
    split = tuple(words.split())
    sentence = Sentence(
        words=split,
        spaced=(True,) * len(split),
        marked=(False,) * len(split),
        pieces=((1,),) * len(split),
        replaceable=tuple(choices),
    )
    return Candidates(sentence, choices)


WORDS = {
    "a b c": plain("a b c", {0: ("A1", "A2", "A3"), 2: ("C1", "C2")}),
    "d e": plain("d e", {1: ("E1", "E2")}),
    "the": plain("the", {}),
    "": plain("", {}),
}


class Known:
    """An augmenter whose candidates are written down."""

    def __init__(self, candidates, probability):
        self.candidates, self.probability = candidates, probability

    def draws(self, text, count, generator):
        return distinct(text, draw_all(self.candidates[text], text, count, self.probability, generator))


def augment(rows, **options):
    given = {"variants": 10, "seed": 1} | options
    return list(augment_rows(rows, Known(WORDS, given.pop("probability", 0.5)), **given))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(list(WORDS)), st.none() | st.sampled_from(list(WORDS))), max_size=8),
    st.integers(0, 2**40),
    st.randoms(use_true_random=False),
    st.booleans(),
)
def test_order_and_company_do_not_matter(pairs, seed, shuffler, mutation):
    rows = [Row(number, *pair) for number, pair in enumerate(pairs)]
    together = augment(rows, seed=seed, pair_mutation=mutation)
    mixed = list(rows)
    shuffler.shuffle(mixed)
    assert sorted(augment(mixed, seed=seed, pair_mutation=mutation)) == sorted(together)
    alone = [made for row in rows for made in augment([row], seed=seed, pair_mutation=mutation)]
    assert alone == together


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(list(WORDS)), st.sampled_from(list(WORDS)), st.integers(0, 1000))
def test_a_variant_changes_one_column_and_leaves_the_other(text, pair, seed):
    for made in augment([Row(7, text, pair)], seed=seed):
        changed, kept, source = (
            (made.text, made.text_pair, text) if made.column == "text" else (made.text_pair, made.text, pair)
        )
        assert kept == (pair if made.column == "text" else text)
        before, after = source.split(), changed.split()
        differing = [at for at, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
        assert made.num_changed == len(differing) > 0
        assert all(after[at] in WORDS[source].words[at] for at in differing)


def test_more_variants_begin_with_the_same_ones():
    rows = [Row("x", "a b c", "d e")]
    few, many = augment(rows, variants=3), augment(rows, variants=9)
    assert few == [made for made in many if made.variant <= 3]
    assert len(many) > len(few)


def test_duplicates_are_dropped_whatever_their_case():
    made = augment([Row(0, "a b c")], variants=500)
    texts = [variant.text.lower() for variant in made]
    assert len(texts) == len(set(texts)) == 4 * 3 - 1
    assert "a b c" not in texts
    assert max(variant.variant for variant in made) <= 500


def test_each_word_is_replaced_with_the_probability():
    long = " ".join(["w"] * 4000)
    words = {long: plain(long, dict.fromkeys(range(4000), ("x", "y", "z")))}
    for probability in (0.0, 0.1, 0.4, 1.0):
        made = list(augment_rows([Row(0, long)], Known(words, probability), variants=1, seed=5))
        share = made[0].num_changed / 4000 if made else 0.0
        assert share == pytest.approx(probability, abs=0.03)
        if probability == 1.0:
            counts = [made[0].text.split().count(word) for word in "xyz"]
            assert min(counts) > 1200


def test_seed_row_and_column_each_change_the_draws():
    long = " ".join(["w"] * 50)
    words = {long: plain(long, dict.fromkeys(range(50), ("x", "y")))}

    def first(seed, row_id):
        made = augment_rows([Row(row_id, long, long)], Known(words, 0.5), variants=1, seed=seed)
        return [variant.text if variant.column == "text" else variant.text_pair for variant in made]

    drawn = [*first(1, 0), *first(2, 0), *first(1, 1)]
    assert len(set(drawn)) == 6


def test_pair_mutation_stands_every_pair_variant_beside_the_last_text_variant():
    rows = [Row(0, "a b c", "d e"), Row(1, "the", "d e")]
    made = augment(rows, pair_mutation=True, probability=0.9)
    texts = [variant.text for variant in made if variant.origin_id == 0 and variant.column == "text"]
    beside = {variant.text for variant in made if variant.origin_id == 0 and variant.column == "text_pair"}
    assert beside == {texts[-1]}
    assert {variant.text for variant in made if variant.origin_id == 1} == {"the"}
    right = augment(rows, probability=0.9)
    assert [variant._replace(text="") for variant in right if variant.column == "text_pair"] == [
        variant._replace(text="") for variant in made if variant.column == "text_pair"
    ]


def test_odd_rows_give_no_variants(wordpiece, vectors):
    texts = ["", "😀", "the", "\x00", "42", "!?"]
    table = TinyBertAug(CandidateTable(wordpiece, None, vectors, 5), probability=1.0)
    rows = [Row(number, text) for number, text in enumerate(texts)]
    assert list(augment_rows(rows, table, variants=5, seed=0)) == []


def test_a_thousand_words_are_augmented(wordpiece, vectors):
    text = " ".join(random.Random(0).choices(["lazy", "dog", "the", "fox", "42"], k=1000))
    augmenter = TinyBertAug(CandidateTable(wordpiece, None, vectors, 5))
    made = list(augment_rows([Row(0, text)], augmenter, variants=4, seed=0))
    assert [variant.variant for variant in made] == [1, 2, 3, 4]
    assert all(len(variant.text.split()) == 1000 for variant in made)
