"""``tinybert artifacts``: what the store keeps, for a person and for a script."""

import json
from collections.abc import Callable

import pytest
from tiny_run import STAGES, Tiny

from flows.cli import main
from pipeline.errors import StoreError

Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture
def artifacts(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Exit code, standard output and standard error of ``tinybert artifacts ...``."""

    def ask(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["artifacts", *arguments])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return ask


def test_list(run: Tiny, artifacts: Ask) -> None:
    code, out, _ = artifacts("list")
    assert code == 0
    assert all(run.artifact(stage).ref in out for stage in STAGES)
    artifacts("tag", "teacher", "best")
    code, text, _ = artifacts("list", "--json")
    found = {row["ref"]: row for row in json.loads(text)}
    assert set(found) == {run.artifact(stage).ref for stage in STAGES}
    assert found[run.artifact("teacher").ref]["tags"] == ["best"]
    assert len(json.loads(artifacts("list", "corpus", "--json")[1])) == 1


def test_show(run: Tiny, artifacts: Ask) -> None:
    code, out, _ = artifacts("show", "teacher")
    assert code == 0
    assert run.artifact("teacher").manifest.fingerprint in out.replace("\n", "")
    found = json.loads(artifacts("show", "teacher/v1", "--json")[1])
    assert found["ref"] == run.artifact("teacher").ref
    assert found["metrics"]["dev_score"] == run.artifact("teacher").metrics["dev_score"]
    short = run.artifact("teacher").manifest.fingerprint[:10]
    assert json.loads(artifacts("show", short, "--json")[1]) == found


def test_lineage(run: Tiny, artifacts: Ask) -> None:
    tree = json.loads(artifacts("lineage", "prediction", "--json")[1])
    assert tree["name"] == run.artifact("prediction").ref
    below = {node["role"]: node for node in tree["inputs"]}
    assert set(below) == {"previous", "rows", "task_data", "teacher"}
    assert {node["role"] for node in below["rows"]["inputs"]} == {"augmentation", "mlm", "task_data", "teacher"}
    code, out, _ = artifacts("lineage", "prediction")
    assert code == 0
    assert "corpus.txt" in out
    assert "teacher" in out


def test_diff(run: Tiny, artifacts: Ask) -> None:
    run.run("phases.prediction.terms.soft.temperature=2", until="prediction")
    found = json.loads(artifacts("diff", "prediction/v1", "prediction/v2", "--json")[1])
    assert found["config"] == {"phase.terms.soft.temperature": [1.0, 2.0]}
    assert found["inputs"] == {}
    assert "students/distilled/model.safetensors" in found["files"]
    code, out, _ = artifacts("diff", "prediction/v1", "prediction/v2")
    assert code == 0
    assert "phase.terms.soft.temperature" in out
    assert artifacts("diff", "prediction", "prediction/v2", "--json")[1].count("{}") == 4


def test_verify(run: Tiny, artifacts: Ask) -> None:
    assert artifacts("verify") == (0, f"{len(STAGES)} artifacts are as they were sealed\n", "")
    assert artifacts("verify", "teacher")[0] == 0
    path = run.path("teacher") / "model" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    code, out, err = artifacts("verify")
    assert (code, out) == (StoreError.exit_code, "")
    problem, error = err.splitlines()
    ref = run.artifact("teacher").ref
    assert problem == f"{ref}: model/model.safetensors has other content (same size)"
    assert error.startswith("error: 1 damaged")
    found = json.loads(artifacts("verify", "teacher", "--json")[1])
    assert found == {"verified": 1, "problems": {ref: [problem]}}
    assert artifacts("verify", "corpus")[0] == 0


def test_what_verify_advises_mends_it(run: Tiny, artifacts: Ask) -> None:
    path = run.path("general_distillation")
    (path / "training_history.json").write_text("{}")
    assert "set aside and rebuilt" in artifacts("verify")[2]
    import shutil

    shutil.rmtree(path)
    outcomes = run.run()
    assert [name for name, outcome in outcomes.items() if outcome.state != "reused"] == ["general_distillation"]
    assert artifacts("verify")[0] == 0


def test_a_manifest_edited_by_hand_is_found(run: Tiny, artifacts: Ask) -> None:
    path = run.path("teacher") / "manifest.json"
    path.write_text(path.read_text().replace('"seed": 5', '"seed": 6'))
    code, _, err = artifacts("verify")
    assert code == StoreError.exit_code
    assert "manifest.json was edited after it was sealed" in err
    assert "teacher/v0001" in err


def test_tags_keep_artifacts_from_pruning(run: Tiny, artifacts: Ask) -> None:
    run.run("phases.prediction.terms.soft.temperature=2", until="prediction")
    first = run.store.open("prediction/v1")
    assert artifacts("tag", "prediction/v1", "good") == (0, f"good is {first.ref}\n", "")
    assert json.loads(artifacts("prune", "--keep", "1", "--json")[1]) == {"would_remove": [], "bytes": 0}
    assert artifacts("untag", "good")[0] == 0
    # the report was made from the first prediction, so the newest report keeps it
    assert artifacts("prune", "--keep", "1") == (0, "nothing to remove\n", "")
    code, out, _ = artifacts("prune", "--keep", "0")
    assert code == 0
    assert f"would remove {first.ref} (" in out
    assert len(run.store.list()) == len(STAGES) + 1
    code, out, _ = artifacts("prune", "--keep", "0", "--yes", "--json")
    assert first.ref in json.loads(out)["removed"]
    assert run.store.list() == []


def test_a_store_elsewhere(run: Tiny, artifacts: Ask) -> None:
    (run.folder / "artifacts").rename(run.folder / "else")
    assert json.loads(artifacts("list", "--json")[1]) == []
    assert len(json.loads(artifacts("list", "--json", "--store", "else")[1])) == len(STAGES)
