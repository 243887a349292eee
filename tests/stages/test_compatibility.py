"""Two tokenizers are the same when they read a text alike, not when they have the same word pieces."""

import json
from pathlib import Path

import pytest
from tiny_run import tiny

from pipeline.data.tokens.tokenizer import load_tokenizer
from pipeline.engine.compatibility import check_same_vocabulary
from pipeline.errors import ModelError
from pipeline.models.source import ModelSource


def cased(folder: Path) -> None:
    """The tokenizer of a folder, its vocabulary as it was, reading capitals and accents as they are."""
    backend = json.loads((folder / "tokenizer.json").read_text())
    backend["normalizer"] |= {"lowercase": False, "strip_accents": False}
    (folder / "tokenizer.json").write_text(json.dumps(backend))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"do_lower_case": False}))


def test_a_cased_reader_of_an_uncased_corpus_is_refused_before_it_reads(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    uncased = load_tokenizer(str(run.folder / "teacher"))
    check_same_vocabulary(uncased, ModelSource(str(run.folder / "teacher")))
    run.run(until="corpus")
    tokenizer = run.path("corpus") / "tokenizer"
    corpus = tmp_path / "tokenizer"
    corpus.mkdir()
    for file in tokenizer.iterdir():
        (corpus / file.name).write_bytes(file.read_bytes())
    cased(run.folder / "teacher")
    assert load_tokenizer(str(run.folder / "teacher")).get_vocab() == uncased.get_vocab()
    with pytest.raises(ModelError, match=r"makes \['Paris'\] of 'Paris', that of the corpus \['paris'\]") as found:
        run.run("corpus.tokenizer=./tokenizer", until="general_distillation")
    assert "\n" not in str(found.value)
