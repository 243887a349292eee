"""Each fault of nlpaug that is put right, in pairs: upstream still has it, and ours does not."""

import json
import os
import random
import subprocess
import sys

import nlpaug.flow as naf
import numpy as np
import pytest
from nlpaug.augmenter import word
from nlpaug.augmenter.char import KeyboardAug

from pipeline.augmentation.augmenters import nlpaug_fixes as fixed
from pipeline.augmentation.augmenters.seeded import seeded
from pipeline.augmentation.variants.row_statistics import count_statistics
from pipeline.config.augmentation import AugmentationConfig

TEXT = "Lovely pictures and lazy acting make a hollow drama"


@pytest.fixture(autouse=True)
def _one_seed():
    with seeded(1):
        yield


@pytest.fixture(scope="session")
def folder(tmp_path_factory, bert, wordpiece):
    path = tmp_path_factory.mktemp("bert")
    bert.save_pretrained(path)
    wordpiece.save_pretrained(path)
    return str(path)


class Words:
    """A thesaurus of one entry."""

    def predict(self, word, pos=None):  # noqa: ARG002 - nlpaug's signature
        return {"lovely": ["pretty"], "lazy": ["busy"]}.get(word.lower(), [])

    def pos_tag(self, tokens):
        return [(token, "JJ") for token in tokens]


def test_contextual_embeddings_upstream_cannot_look_up_a_token(folder):
    with pytest.raises(AttributeError, match="_convert_token_to_id"):
        word.ContextualWordEmbsAug(model_path=folder, model_type="bert")


def test_contextual_embeddings_replace_words_and_keep_their_settings(folder):
    few, many = (fixed.ContextualWordEmbsAug(model_path=folder, model_type="bert", top_k=k) for k in (3, 30))
    assert (few.model.top_k, many.model.top_k) == (3, 30)
    (made,) = few.augment("the lazy dog and the good film")
    assert isinstance(made, str)
    assert made != "the lazy dog and the good film"


def test_word_vectors_upstream_want_gensim(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text("fox 1 2\ndog 2 1\n")
    with pytest.raises(ModuleNotFoundError, match="gensim"):
        word.WordEmbsAug("glove", model_path=str(path))


def test_word_vectors_of_ours_do(vectors):
    (made,) = fixed.WordEmbsAug(vectors, top_k=4, aug_p=0.9, aug_max=2).augment(TEXT.lower())
    changed = [(old, new) for old, new in zip(TEXT.lower().split(), made.split(), strict=True) if old != new]
    assert 1 <= len(changed) <= 2
    assert all(new in vectors.neighbours(old, 4) for old, new in changed)


@pytest.mark.parametrize("kind", [word.SynonymAug, word.AntonymAug])
def test_synonyms_upstream_download_nltks_data(kind, monkeypatch):
    class Downloads(Exception):  # noqa: N818 - it is no mishap
        pass

    def refuse(*_, **__):
        raise Downloads

    nltk = pytest.importorskip("nltk")
    monkeypatch.setattr(nltk.data, "path", [])  # what this machine happens to have is no part of it
    monkeypatch.setattr(nltk, "download", refuse)
    with pytest.raises(Downloads):
        kind().augment(TEXT)


@pytest.mark.parametrize(("kind", "n"), [(fixed.SynonymAug, 1), (fixed.AntonymAug, 1)])
def test_synonyms_come_from_any_thesaurus(kind, n):
    made = {text for _ in range(20) for text in kind(Words(), aug_p=1.0).augment(TEXT, n=n)}
    assert "Pretty pictures and busy acting make a hollow drama" in made


IN_A_PROCESS = """
import json
from nlpaug.augmenter.word import SpellingAug
from pipeline.augmentation.augmenters import nlpaug_fixes
from pipeline.augmentation.augmenters.flow import make_flow
from pipeline.augmentation.variants.draw import Row, augment_rows
from pipeline.config.augmentation import AugmentationConfig

flow = make_flow(AugmentationConfig(augmenters=({"spelling": {"aug_p": 0.9}}, {"keyboard": {}})), None)
rows = [Row(0, "because they receive their beautiful friend tomorrow")]
made = [variant.text for variant in augment_rows(rows, flow, variants=5, seed=3)]
upstream, ours = (list(kind().model.dict.items()) for kind in (SpellingAug, nlpaug_fixes.SpellingAug))
print(json.dumps([upstream, ours, made]))
"""


@pytest.mark.slow
def test_misspellings_upstream_have_another_order_in_every_process_and_ours_have_not():
    def run(seed):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        return subprocess.check_output([sys.executable, "-c", IN_A_PROCESS], env=environment, text=True)

    upstream, ours, drawn = zip(*(json.loads(run(seed)) for seed in "12"), strict=True)
    assert upstream[0] != upstream[1]
    assert ours[0] == ours[1]
    assert {key: sorted(values) for key, values in upstream[0]} == dict(ours[0])
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 5


def test_splitting_upstream_fails_on_a_short_word():
    with pytest.raises(ValueError, match="low >= high"):
        word.SplitAug(min_char=1).augment("no")


def test_splitting_takes_short_words():
    made = {tuple(fixed.SplitAug(min_char=1, aug_p=1.0).augment(text)) for text in ("no", "a", "no a", "fox") * 9}
    assert made == {("n o",), ("a",), ("n o a",), ("f ox",), ("fo x",)}


RESERVED = {"reserved_tokens": [["not bad", "fine"], ["lovely", "fair"]], "aug_max": 1}


def test_reserved_phrases_upstream_are_left_in_one_piece():
    made = {word.ReservedAug(**RESERVED).augment("a lovely film, not bad")[0] for _ in range(20)}
    assert "a fair film, notnnnnnbad" in made


def test_reserved_phrases_that_are_not_drawn_stay():
    made = {fixed.ReservedAug(**RESERVED).augment("a lovely film, not bad")[0] for _ in range(20)}
    assert made == {"a fair film, not bad", "a lovely film, fine"}


def test_cropping_upstream_fails_where_one_word_is_to_go():
    def crop_often():
        for _ in range(30):  # towards the end it goes wrong, towards the beginning it does not
            word.RandomWordAug(action="crop").augment("one two three")

    with pytest.raises(ValueError, match="larger than population"):
        crop_often()


def test_cropping_takes_a_stretch_away():
    made = {fixed.RandomWordAug(action="crop").augment("one two three")[0].lower() for _ in range(40)}
    assert made == {"one two", "two three", "one three"}
    assert fixed.RandomWordAug(action="crop").augment("one") == ["one"]
    half = fixed.RandomWordAug(action="crop", aug_p=0.5).augment("a b c d e f")[0].lower().split()
    assert len(half) == 3


def test_tfidf_upstream_reads_files_and_keeps_the_first_for_all(tmp_path, monkeypatch):
    monkeypatch.setattr("nlpaug.augmenter.word.tfidf.TFIDF_MODEL", {})
    for name, entry in (("one", "fox"), ("two", "dog")):
        (tmp_path / name).mkdir()
        for file in ("tfidfaug_w2idf.txt", "tfidfaug_w2tfidf.txt"):
            (tmp_path / name / file).write_text(f"{entry} 1.0\n")
    first, second = (word.TfIdfAug(model_path=str(tmp_path / name)) for name in ("one", "two"))
    assert second.model.tokens == first.model.tokens == ["fox"]


def test_tfidf_of_ours_keeps_apart(sentences):
    wanted = AugmentationConfig(augmenters=({"tfidf": {}},))
    made = [count_statistics(wanted, texts.copy) for texts in (sentences, ["one two", "two three"])]
    first, second = (fixed.TfIdfAug(counted.idf, counted.weight) for counted in made)
    assert set(second.model.tokens) == {"one", "two", "three"}
    assert "drama" in first.model.tokens
    assert first.augment(TEXT) != [TEXT]


def test_sequential_upstream_gives_n_rows_in_all_for_a_list():
    assert len(naf.Sequential([KeyboardAug()]).augment([TEXT, TEXT.lower(), "fox fox fox"], n=1)) != 3


def test_sequential_of_ours_gives_one_of_each_text():
    made = fixed.Sequential([KeyboardAug(), word.RandomWordAug(action="swap")]).augment([TEXT, "", "fox"])
    assert len(made) == 3
    assert all(isinstance(text, str) for text in made)


def _nested(flow):
    return flow.Sequential([word.RandomWordAug(action="swap"), flow.Sometimes([KeyboardAug()], aug_p=0.0)])


def test_flows_upstream_leak_lists_from_one_that_is_not_drawn():
    made = [text for _ in range(10) for text in _nested(naf).augment(TEXT, n=3)]
    assert any(not isinstance(text, str) for text in made)


def test_flows_upstream_fail_when_the_first_is_a_kind_of_flow():
    class Mine(naf.Sequential):
        pass

    with pytest.raises(NotImplementedError):
        naf.Sequential([Mine([KeyboardAug()])]).augment(TEXT)


def test_nested_flows_of_ours_do():
    made = [_nested(fixed).augment(TEXT, n=3) for _ in range(5)]
    assert all(isinstance(text, str) and len(text) > 1 for texts in made for text in texts)
    assert all(TEXT not in texts and len(texts) == len(set(texts)) for texts in made)
    assert fixed.Sometimes([KeyboardAug()], aug_p=0.0).augment(TEXT, n=3) == [TEXT]
    assert fixed.Sequential([fixed.Sequential([KeyboardAug()])]).augment(TEXT) != [TEXT]
    drawn = [fixed.Sometimes([KeyboardAug()], aug_p=0.5).augment(TEXT)[0] != TEXT for _ in range(200)]
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.12)
    assert fixed.Sequential([KeyboardAug()]).augment("") == []


def test_the_seed_is_the_processes():
    def run():
        with seeded(5):
            return _nested(fixed).augment(TEXT, n=3)

    state = random.getstate()
    assert run() == run()
    assert random.getstate() == state
