"""Vectors files and masked LMs that cannot be used as they are: one line that says so, or a count."""

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_run import Tiny, save_teacher, tiny
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from pipeline.errors import DataError, ModelError

GOOD = "otter 1 2 3\nheron 2 1 3\nbadger 3 1 2\n"
VECTORS = "augmentation.vectors.path=glove.txt"
NEIGHBOURS = ("augmentation.mlm=null", VECTORS)


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.ones((4, 3), np.float32))
    return file.getvalue()


BAD = {
    "empty": (b"", ["glove.txt", "empty", "augmentation.vectors.path"]),
    "a header and nothing else": (b"3 3\n", ["glove.txt", "empty"]),
    "white space": (b"\n\n\n", ["glove.txt", "line 1", "no numbers"]),
    "not a number": (GOOD.encode() + b"lizard 1 nan 2\n", ["line 4", "'nan'", "mend or remove"]),
    "infinite": (GOOD.encode() + b"lizard 1 inf 2\n", ["line 4", "'inf'", "mend or remove"]),
    "a row too short": (GOOD.encode() + b"lizard 1 2\n", ["line 4", "2 numbers", "3", "mend or remove"]),
    "a row too long": (GOOD.encode() + b"lizard 1 2 3 4\n", ["line 4", "4 numbers", "3", "mend or remove"]),
    "cut off": (GOOD.encode() + b"lizard", ["line 4", "0 numbers", "mend or remove"]),
    "nothing but zeros": (b"otter 0 0 0\nheron 0 0 0\n", ["2 words", "none with a direction"]),
    "no word of letters": (b". 1 2 3\n42 1 2 3\n", ["glove.txt", "none of its 2 words"]),
    "another encoding": ("ot\u00e9r 1 2 3\n".encode("latin-1") + GOOD.encode(), ["line 1", "UTF-8"]),
    "compressed": (gzip.compress(GOOD.encode() * 50), ["line 1", "UTF-8"]),
    "numpy's": (npy(), ["line 1", "UTF-8"]),
    "binary": (bytes(range(256)) * 20, ["glove.txt"]),
}


@pytest.fixture
def run(tmp_path: Path) -> Tiny:
    return tiny(tmp_path)


@pytest.mark.parametrize(("content", "said"), BAD.values(), ids=BAD)
def test_a_bad_vectors_file_is_one_line_and_costs_nothing_that_was_there(
    run: Tiny, content: bytes, said: list[str]
) -> None:
    (run.folder / "glove.txt").write_bytes(content)
    with pytest.raises(DataError) as caught:
        run.run(*NEIGHBOURS, until="augmentation")
    line = str(caught.value)
    assert "\n" not in line
    assert line.isprintable()
    assert [part for part in said if part not in line] == []
    assert run.versions() == {"task_data": [1]}
    (run.folder / "glove.txt").write_text(GOOD)
    outcomes = run.run(*NEIGHBOURS, until="augmentation")
    assert outcomes["task_data"].state == "reused"
    assert outcomes["augmentation"].artifact.metrics["variants"] > 0


def test_a_folder_is_no_vectors_file(run: Tiny) -> None:
    (run.folder / "glove.txt").mkdir()
    (run.folder / "glove.txt" / "a").touch()
    with pytest.raises(DataError, match=r"glove.txt.*augmentation.vectors.path"):
        run.run(*NEIGHBOURS, until="augmentation")


def test_vectors_without_direction_are_left_out_and_counted(run: Tiny) -> None:
    (run.folder / "glove.txt").write_text(GOOD + "lizard 0 0 0\nwalrus 0 0 0\n")
    run.run(*NEIGHBOURS, until="augmentation")
    assert run.artifact("candidates").metrics["zero_vectors"] == 2


def maskless(run: Tiny) -> None:
    tokenizer = AutoTokenizer.from_pretrained(run.folder / "teacher")
    names = ("unk", "cls", "sep", "pad")
    save_teacher(run.folder / "maskless")
    for path in (run.folder / "maskless").glob("*token*"):
        path.unlink()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer,
        model_max_length=48,
        **{f"{name}_token": getattr(tokenizer, f"{name}_token") for name in names},
    ).save_pretrained(run.folder / "maskless")


def headless(run: Tiny) -> None:
    from transformers import AutoModel

    AutoModel.from_pretrained(run.folder / "teacher").save_pretrained(run.folder / "headless")
    AutoTokenizer.from_pretrained(run.folder / "teacher").save_pretrained(run.folder / "headless")


@pytest.mark.parametrize(
    ("make", "said"),
    [(maskless, ["no mask token", "augmentation.mlm", "unmasked"]), (headless, ["no masked-LM head", "mlm_head"])],
)
def test_a_masked_lm_that_cannot_mask_is_one_line(run: Tiny, make: Callable[[Tiny], None], said: list[str]) -> None:
    make(run)
    with pytest.raises(ModelError) as caught:
        run.run(f"augmentation.mlm=./{make.__name__}", until="augmentation")
    assert [part for part in said if part not in str(caught.value)] == []
    assert "\n" not in str(caught.value)


def test_what_needs_no_mask_needs_no_mask_token(run: Tiny) -> None:
    maskless(run)
    unmasked = ("augmentation.mlm=./maskless", "augmentation.context=unmasked")
    outcomes = run.run(*unmasked, until="teacher_logits")
    assert outcomes["augmentation"].artifact.metrics["variants"] > 0
    quality = outcomes["teacher_logits"].artifact.metrics["quality"]
    assert quality["pseudo_perplexity"] is None
    assert any("no mask token" in line for line in run.notes.lines)
