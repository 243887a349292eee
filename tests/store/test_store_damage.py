import json

import pytest

from pipeline.errors import StoreError
from pipeline.store.fingerprint import canonical, digest_bytes


@pytest.fixture
def artifact(house):
    return house.run(house.stage("teacher")).artifact


def flip(path, offset=0):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def edit(path, **changes):
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | changes))


def test_an_untouched_artifact_has_no_problems(house, artifact):
    assert house.store.verify(artifact) == []


def test_a_flipped_bit_is_found_by_reading_everything(house, artifact):
    flip(artifact.path / "deep" / "model.txt")
    (problem,) = house.store.verify(artifact)
    assert problem == f"{artifact.ref}: deep/model.txt has other content (same size)"


def test_missing_longer_and_added_files_are_found(house, artifact):
    (artifact.path / "deep" / "model.txt").write_text("much longer than it was before")
    (artifact.path / "extra").write_text("")
    assert [p.split(": ")[1] for p in house.store.verify(artifact)] == [
        "deep/model.txt has 30 bytes instead of 13",
        "extra was added",
    ]
    (artifact.path / "deep" / "model.txt").unlink()
    assert "deep/model.txt cannot be read" in house.store.verify(artifact)[0]
    (artifact.path / "manifest.json").unlink()
    assert house.store.verify(artifact) == [f"{artifact.ref}: manifest.json is missing"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: (path / "deep" / "model.txt").unlink(), "deep/model.txt is missing"),
        (lambda path: (path / "deep" / "model.txt").write_text("?"), "has 1 bytes instead of 13"),
        (lambda path: flip(path / "deep" / "model.txt"), "deep/model.txt has other content (same size)"),
        (lambda path: edit(path / "manifest.json", metrics={"accuracy": 0.99}), "was edited"),
        (lambda path: edit(path / "manifest.json", seal="0" * 64), "was edited"),
        (lambda path: (path / "manifest.json").write_text("{"), "cannot be read"),
        (lambda path: (path / "manifest.json").write_text("[]"), "cannot be read"),
        (lambda path: (path / "manifest.json").write_text(""), "cannot be read"),
        (lambda path: (path / "manifest.json").write_bytes(b"\xff\xfe\x00"), "cannot be read"),
    ],
)
def test_a_damaged_artifact_is_moved_aside_and_built_again(house, artifact, damage, reason):
    damage(artifact.path)
    outcome = house.run(house.stage("teacher"))
    assert outcome.state == "completed"
    assert outcome.artifact.manifest.version == 2
    assert outcome.artifact.manifest.digest == artifact.manifest.digest
    assert not artifact.path.exists()
    assert len(list(house.store.layout.quarantine.iterdir())) == 1
    (note,) = house.notes.lines
    assert reason in note
    assert artifact.ref in note


def test_a_manifest_of_another_artifact_is_noticed(house, artifact):
    other = house.run(house.stage("student")).artifact
    (artifact.path / "manifest.json").write_bytes((other.path / "manifest.json").read_bytes())
    assert "belongs to another artifact" in house.store.verify(artifact)[0]
    assert house.store.find(house.stage("teacher")) is None


def test_a_folder_without_manifest_does_not_exist(house, artifact):
    (artifact.path / "manifest.json").unlink()
    assert house.store.list() == []
    assert house.store.find(house.stage("teacher")) is None
    assert house.run(house.stage("teacher")).artifact.manifest.version == 2


def test_opening_a_damaged_artifact_says_so(house, artifact):
    edit(artifact.path / "manifest.json", metrics={})
    for ref in ["teacher", artifact.ref, "teacher/v1"]:
        with pytest.raises(StoreError, match=r"manifest\.json was edited after it was sealed; run it again"):
            house.store.open(ref)
    assert [error.path for error in house.store.damaged()] == [artifact.path]


def test_a_manifest_cannot_name_files_outside(house, artifact):
    path = artifact.path / "manifest.json"
    values = json.loads(path.read_text())
    values.pop("seal")
    values["files"] = {"../../secret": {"size": 1, "sha256": "0" * 64}}
    path.write_text(json.dumps(values | {"seal": digest_bytes(canonical(values))}))
    with pytest.raises(StoreError, match="is of another kind"):
        house.store.open("teacher")


def test_a_resealed_configuration_no_longer_fits_its_fingerprint(house, artifact):
    path = artifact.path / "manifest.json"
    values = json.loads(path.read_text())
    values.pop("seal")
    values["config"]["seed"] = 8
    path.write_text(json.dumps(values | {"seal": digest_bytes(canonical(values))}))
    (problem,) = house.store.verify(artifact)
    assert "another configuration" in problem
