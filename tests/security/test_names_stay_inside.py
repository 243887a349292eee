"""No name, link or manifest leads out of the store: not to read, not to serve, not to remove."""

import json
import shutil
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from tiny_run import Tiny

from flows.cli import main
from flows.services.reports import reports_server
from pipeline.errors import ConfigError, StoreError
from pipeline.store.artifact import load_artifact
from pipeline.store.fingerprint import canonical, digest_bytes
from pipeline.store.stage import Stage

OUTSIDE = ("../../victim", "..", ".", "/etc/passwd", "teacher/../../victim", "../own/artifacts/teacher", "a\0b")
LINKS = (".trash", ".work", ".quarantine", ".teacher-store", ".tags", ".leases")


@pytest.fixture
def victim(run: Tiny) -> Path:
    """A stage of somebody else's store beside ours, whose artifacts are whole."""
    other = run.folder.parent / "victim"
    shutil.copytree(run.folder / "artifacts", other)
    return other


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which the command line refuses."""
    with pytest.raises(SystemExit) as left:
        main([*arguments])
    said = capsys.readouterr()
    assert left.value.code == StoreError.exit_code, said
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    return said.err


@pytest.mark.parametrize("ref", OUTSIDE)
@pytest.mark.usefixtures("victim")
def test_a_reference_names_nothing_outside(ref: str, run: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["show"], ["verify"], ["lineage"], ["tag"]):
        arguments = ["artifacts", *command, ref, *(["name"] if command == ["tag"] else [])]
        assert refused(capsys, *arguments).startswith("error: no artifact is called")
    assert run.store.list(ref) == []
    assert run.store.tags() == {}


@pytest.mark.parametrize("name", [*OUTSIDE, "", "../tag", ".hidden", "a/b"])
@pytest.mark.usefixtures("victim")
def test_a_tag_is_no_path(name: str, run: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    before = set(run.folder.parent.rglob("*"))
    assert "cannot be a tag" in refused(capsys, "artifacts", "tag", "teacher", name)
    assert "there is no tag" in refused(capsys, "artifacts", "untag", name)
    made = {path.name for path in run.folder.parent.rglob("*")} - {path.name for path in before}
    assert made <= {".locks", "inventory.lock"}


@pytest.mark.parametrize("name", ["../x", "a/b", ".x", "", "x y", "a\n"])
def test_a_student_is_no_path(name: str, run: Tiny) -> None:
    with pytest.raises(ConfigError, match=r"students\.0\.name|students\[0\]\.name|students"):
        run.config(f"students={json.dumps([{'name': name, 'layers': 1, 'hidden': 16}])}")


@pytest.mark.parametrize("name", ["../x", "a/b", ".work", "", "Teacher"])
def test_a_stage_is_no_path(name: str, run: Tiny) -> None:
    stage = run.stages().corpus
    with pytest.raises(ValueError, match="stage name"):
        Stage(name, 1, stage.config, {}, stage.run)


def test_a_recipe_is_no_path(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["plan", "--recipe", "../../pyproject"])
    assert left.value.code == ConfigError.exit_code
    assert "there is no recipe" in capsys.readouterr().err


def test_a_stage_that_is_a_link_is_not_followed(run: Tiny, victim: Path) -> None:
    shutil.rmtree(run.folder / "artifacts" / "teacher")
    (run.folder / "artifacts" / "teacher").symlink_to(victim / "teacher", target_is_directory=True)
    assert "teacher" not in {artifact.manifest.stage for artifact in run.store.list()}
    with pytest.raises(StoreError, match="no artifact is called"):
        run.store.open("teacher")
    run.store.prune(0)
    assert len(list((victim / "teacher").iterdir())) == 1
    with pytest.raises(StoreError, match="teacher is a link, and a store follows none"):
        run.run(until="teacher")
    assert len(list((victim / "teacher").iterdir())) == 1


def test_an_artifact_that_is_a_link_is_not_followed(run: Tiny, victim: Path) -> None:
    own = run.path("teacher")
    shutil.rmtree(own)
    own.symlink_to(victim / "teacher" / own.name, target_is_directory=True)
    assert "teacher" not in {artifact.manifest.stage for artifact in run.store.list()}
    run.store.prune(0)
    assert (victim / "teacher" / own.name / "manifest.json").is_file()


@pytest.mark.parametrize("linked", ["model/model.safetensors", "model"])
def test_a_file_that_is_a_link_is_damage(linked: str, run: Tiny, victim: Path) -> None:
    artifact = run.artifact("teacher")
    own = artifact.path / linked
    shutil.rmtree(own) if own.is_dir() else own.unlink()
    own.symlink_to(victim / "teacher" / artifact.path.name / linked)
    problems = run.store.verify(artifact)
    assert f"{artifact.ref}: model/model.safetensors is a link" in problems
    outcomes = run.run(until="teacher")
    assert outcomes["teacher"].state == "completed"
    assert outcomes["teacher"].artifact.manifest.version == 2
    assert (victim / "teacher" / artifact.path.name / "model" / "model.safetensors").is_file()


def test_an_added_link_is_found(run: Tiny, victim: Path) -> None:
    artifact = run.artifact("teacher")
    (artifact.path / "more").symlink_to(victim, target_is_directory=True)
    assert run.store.verify(artifact) == [f"{artifact.ref}: more was added"]


@pytest.mark.parametrize("name", LINKS)
def test_pruning_empties_no_link(name: str, run: Tiny, victim: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run.folder / "artifacts" / name, ignore_errors=True)
    (run.folder / "artifacts" / name).symlink_to(victim, target_is_directory=True)
    before, own = set(victim.rglob("*")), {artifact.ref for artifact in run.store.list()}
    assert f"{name} is a link" in refused(capsys, "artifacts", "prune", "--keep", "0", "--days", "0", "--yes")
    assert set(victim.rglob("*")) == before
    assert {artifact.ref for artifact in run.store.list()} == own


def reseal(path: Path, **changes: object) -> None:
    """Forge a manifest: what it says is changed, and sealed again."""
    values = json.loads(path.read_text())
    values.pop("seal")
    values |= changes
    path.write_text(json.dumps(values | {"seal": digest_bytes(canonical(values))}))


@pytest.mark.parametrize("name", ["../../../secret", "/etc/passwd", "a/../../b", ""])
def test_a_forged_manifest_names_no_file_outside(name: str, run: Tiny) -> None:
    path = run.path("teacher")
    reseal(path / "manifest.json", files={name: {"size": 1, "sha256": "0" * 64}})
    with pytest.raises(StoreError, match=r"manifest\.json is of another kind"):
        load_artifact(path)
    assert run.store.list("teacher") == []


@pytest.mark.usefixtures("victim")
def test_a_forged_manifest_names_no_input_outside(run: Tiny) -> None:
    path = run.path("teacher_logits")
    inputs = json.loads((path / "manifest.json").read_text())["inputs"]
    inputs["teacher"]["stage"] = "../../victim/teacher"
    reseal(path / "manifest.json", inputs=inputs)
    with pytest.raises(StoreError, match=r"manifest\.json is of another kind"):
        load_artifact(path)


@pytest.fixture
def address(run: Tiny, victim: Path) -> Iterator[tuple[str, int]]:
    """Where the store is served; beside its artifacts lie links that lead out."""
    artifacts = run.folder / "artifacts"
    (artifacts / "away").symlink_to(victim, target_is_directory=True)
    (artifacts / "file").symlink_to(run.file)
    with reports_server(artifacts, "127.0.0.1", 0, None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield "127.0.0.1", server.server_address[1]
        server.shutdown()
        thread.join()


def status(address: tuple[str, int], path: str) -> int:
    connection = HTTPConnection(*address)
    try:
        connection.putrequest("GET", path, skip_host=False)  # as it is: a browser would tidy it up
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


def test_only_the_store_is_served(run: Tiny, address: tuple[str, int]) -> None:
    report = f"/{run.artifact('report').ref}/report.html"
    assert status(address, report) == 200
    outside = ("/../tiny.yaml", "/%2e%2e/tiny.yaml", "/teacher/../../tiny.yaml", "/..%2ftiny.yaml", "//etc/passwd")
    links = ("/file", "/away/", "/away/teacher/")
    hidden = ("/.digests.json", "/.work/", "/%2edigests.json", "/teacher/../.digests.json", "/a%00b")
    assert {path: status(address, path) for path in (*outside, *links, *hidden)} == dict.fromkeys(
        (*outside, *links, *hidden), 404
    )
