"""``tinybert predict``: the same answers by every way in, and no torch on the way."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_run import Tiny, sentences

from flows.cli import main
from pipeline.engine.torch_scorer import TorchScorer
from pipeline.export.answers import answer_all, answer_stream, score_rows
from pipeline.export.bundle import OpenBundle
from pipeline.export.onnx_scorer import OnnxScorer
from pipeline.export.scorer import Row

Ask = Callable[..., tuple[int, list[dict[str, object]], str]]
TEXTS = [text for text, _ in sentences(24, 2)]


@pytest.fixture
def predict(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Exit code, answers and standard error of ``tinybert predict``."""

    def ask(*arguments: str, stdin: bytes = b"") -> tuple[int, list[dict[str, object]], str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as left:
            main(["predict", *arguments])
        said = capsys.readouterr()
        return int(left.value.code or 0), [json.loads(line) for line in said.out.splitlines()], said.err

    return ask


def test_files_pipes_engines_and_folders_agree(run: Tiny, bundle: OpenBundle, predict: Ask) -> None:
    code, found, said = predict("export/v2", "dev.csv", "--text", "sentence")
    assert (code, said) == (0, "")
    assert len(found) == 24
    right = [topic for _, topic in sentences(24, 2)]
    score = sum(one["label"] == topic for one, topic in zip(found, right, strict=True)) / 24
    assert score == pytest.approx(run.artifact("teacher").metrics["dev_score"])  # they are in their order
    for one in found:
        shares = one["probabilities"]
        assert isinstance(shares, dict)
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert max(shares, key=shares.__getitem__) == one["label"]
    pipe = "\n".join(TEXTS).encode()
    assert predict("export/v2", stdin=pipe)[1] == found
    assert predict(str(bundle.folder), "-", stdin=pipe)[1] == found
    _, torch_found, _ = predict("export/v2", "--engine", "torch", stdin=pipe)
    assert [one["label"] for one in torch_found] == [one["label"] for one in found]


def test_both_engines_give_the_same_logits(bundle: OpenBundle) -> None:
    rows = [Row(text) for text in TEXTS]
    one, other = OnnxScorer(bundle, bundle.variant("float32"), 1), TorchScorer(bundle)
    assert one.encode(rows) == other.encode(rows)
    assert abs(score_rows(one, one.encode(rows)) - score_rows(other, other.encode(rows))).max() < 1e-5


def test_a_float32_answer_does_not_depend_on_the_rows_beside_it(bundle: OpenBundle) -> None:
    scorer = OnnxScorer(bundle, bundle.variant("float32"), 1)
    encoded = scorer.encode([Row(text) for text in TEXTS])
    together, alone = scorer.logits(encoded), np.concatenate([scorer.logits([row]) for row in encoded])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_a_stream_in_pieces_is_the_stream_at_once(bundle: OpenBundle) -> None:
    scorer, rows = OnnxScorer(bundle, bundle.variant("float32"), 1), [Row(text) for text in TEXTS]
    whole = answer_all(scorer, rows)
    pieces = list(answer_stream(scorer, rows, window=5))
    assert [one["label"] for one in pieces] == [one["label"] for one in whole]
    assert answer_all(scorer, []) == list(answer_stream(scorer, [])) == []


@pytest.mark.usefixtures("run")
def test_a_long_row_is_cut_and_said_to_be(predict: Ask) -> None:
    code, found, said = predict("export/v2", stdin=b"otter\n" + b"otter bridge " * 3_000)
    assert code == 0
    assert "cut" not in found[0]
    assert found[1]["cut"] is True
    assert said == "1 of 2 rows are longer than 20 word pieces and were cut\n"


def test_names_of_special_tokens_and_odd_text_are_text(bundle: OpenBundle) -> None:
    scorer = OnnxScorer(bundle, bundle.variant("float32"), 1)
    empty, forged, odd = scorer.encode([Row(""), Row("a [SEP] b"), Row("\x00 \u200b 😀")])
    assert len(empty) == 2
    separator = empty.ids[-1]
    assert forged.ids.count(separator) == 1
    assert len(odd) >= 2


@pytest.mark.usefixtures("run")
def test_it_writes_a_file(predict: Ask, tmp_path: Path) -> None:
    assert predict("export/v1", "dev.csv", "--text", "sentence", "-o", "answers.jsonl", "--variant", "int8")[1] == []
    assert len((tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()) == 24


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nosuch",), 5, "no artifact is called 'nosuch'"),
        (("prediction",), 4, "holds no bundle.json: make one with tinybert export prediction/v0001-"),
        (("./nowhere",), 4, "there is no folder ./nowhere"),
        (("export/v1", "nowhere.csv"), 3, "nowhere.csv cannot be read (No such file or directory)"),
        (("export/v1", "dev.csv"), 3, "dev.csv has no column 'text': it has sentence, topic; name one with --text"),
        (("export/v1", "--engine", "tpu"), 2, "--engine 'tpu' is unknown: choose onnx or torch"),
        (("export/v1", "--variant", "int4"), 4, "has no variant 'int4': choose float32 or int8"),
        (("export/v1", "--engine", "torch", "--variant", "int8"), 2, "leave out --engine torch"),
        (("export/v1", "-o", "no/such/file"), 3, "no/such/file cannot be written"),
    ],
)
@pytest.mark.usefixtures("run")
def test_a_mistake_is_one_line(predict: Ask, arguments: tuple[str, ...], code: int, message: str) -> None:
    left, found, said = predict(*arguments, stdin=b"a\n")
    assert (left, found) == (code, [])
    assert message in said
    assert said.startswith("error: ")
    assert said.count("\n") == 1


@pytest.mark.usefixtures("run")
def test_an_answer_needs_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; from flows.cli import main\n"
        "try: main(['predict', 'export/v2'])\n"
        "except SystemExit: pass\n"
        "print(*sorted({'torch', 'transformers', 'prefect', 'onnx', 'pyarrow'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], input=b"an otter\n", capture_output=True, check=True)
    assert json.loads(done.stdout)["label"] in ("animal", "city", "food")
    assert done.stderr.split() == []


def test_export_on_the_command_line(run: Tiny, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["export", "--student", "random-start", "--no-int8", "--json"])
    assert not left.value.code
    said = capfd.readouterr()
    (found,) = json.loads(said.out)  # and nothing else
    assert found["state"] == "completed"
    assert list(found["parity"]) == ["float32"]
    with pytest.raises(SystemExit):
        main(["export"])
    out = capfd.readouterr().out
    assert f"reused: {run.store.open('export/v1').ref}" in out
    assert "tinybert predict export/v" in out
    with pytest.raises(SystemExit) as refused:
        main(["export", "--min-parity", "2"])
    assert refused.value.code == 2
    assert capfd.readouterr().err == "error: --min-parity is 2.0: give a share from 0 to 1\n"
