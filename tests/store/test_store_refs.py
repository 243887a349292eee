import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.config.base import Config
from pipeline.errors import StoreError


class Text(Config):
    text: str


@pytest.fixture
def three(house):
    """Three artifacts of corpus; teacher built from the first, student from that."""
    first, second, third = (house.stage("corpus", Text(text=text)) for text in "abc")
    teacher = house.stage("teacher", corpus=first)
    student = house.stage("student", teacher=teacher)
    house.run_all(student)
    house.run(second)
    house.run(third)
    return house.store


def test_an_artifact_has_many_names(three):
    newest = three.open("corpus")
    assert newest.manifest.version == 3
    three.tag("corpus", "best")
    prefix = newest.manifest.fingerprint[:10]
    for ref in ["corpus/v3", "corpus/v0003", newest.ref, newest.ref[:-4], "best", prefix]:
        assert three.open(ref) == newest
    assert three.open("corpus/v1").manifest.config == {"text": "a"}


def test_a_wrong_name_is_answered_with_the_nearest(three):
    with pytest.raises(StoreError, match="no artifact is called 'techer'; did you mean teacher"):
        three.open("techer")
    with pytest.raises(StoreError, match="corpus/v0003"):
        three.open("corpus/v0009-" + three.open("corpus").manifest.fingerprint[:12])
    three.tag("corpus", "best")
    with pytest.raises(StoreError, match="there is no tag 'bets'; did you mean best"):
        three.untag("bets")


def test_an_empty_store_says_so(house):
    with pytest.raises(StoreError, match="there is none in this store yet"):
        house.store.open("teacher")
    assert house.store.list() == []
    assert not house.store.root.exists()


@pytest.mark.parametrize(
    "ref",
    ["../outside", "/etc/passwd", "corpus/../../outside", "corpus/v1/../..", "..", ".", "", "a\0b", ".locks"],
)
def test_no_name_leaves_the_store(three, ref):
    (three.root.parent / "outside").mkdir()
    with pytest.raises(StoreError):
        three.open(ref)
    with pytest.raises(StoreError):
        three.tag("corpus", ref)
    with pytest.raises(StoreError):
        three.untag(ref)


@given(st.text())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_a_name_or_an_error(house, ref):
    with pytest.raises(StoreError):
        house.store.open(ref)


def test_tags_can_be_moved_and_removed(three):
    three.tag("corpus/v1", "best")
    three.tag("corpus/v2", "best")
    assert three.open("best").manifest.version == 2
    assert three.tags() == {"best": three.open("corpus/v2").ref}
    three.untag("best")
    assert three.tags() == {}
    with pytest.raises(StoreError, match="it is a stage"):
        three.tag("corpus", "teacher")


def refs(artifacts):
    return [artifact.ref.split("-")[0] for artifact in artifacts]


def test_prune_keeps_what_kept_artifacts_were_built_from(three):
    assert refs(three.prune(1, dry_run=True)) == ["corpus/v0002"]
    assert len(three.list()) == 5
    assert refs(three.prune(1)) == ["corpus/v0002"]
    assert refs(three.list()) == ["corpus/v0001", "corpus/v0003", "student/v0001", "teacher/v0001"]
    assert three.prune(1) == []
    assert list(three.layout.trash.iterdir()) == []


def test_prune_keeps_what_is_tagged(three):
    three.tag("teacher", "gold")
    assert refs(three.prune(0)) == ["corpus/v0002", "corpus/v0003", "student/v0001"]
    assert refs(three.list()) == ["corpus/v0001", "teacher/v0001"]
    with pytest.raises(StoreError, match="cannot keep -1"):
        three.prune(-1)


def test_prune_keeps_what_unfinished_work_needs(house, three):
    def fail(_config, _run):
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        house.run(house.stage("other", run=fail, corpus=house.stage("corpus", Text(text="b"))))
    assert refs(three.prune(0)) == ["student/v0001", "teacher/v0001", "corpus/v0001", "corpus/v0003"]


def test_a_tag_on_what_is_gone_says_so(three):
    three.tag("corpus", "best")
    three.open("best").path.rename(three.root / "elsewhere")
    with pytest.raises(StoreError, match="which is gone: untag it"):
        three.open("best")


def test_lineage_is_the_tree_down_to_the_sources(three):
    tree = three.lineage(three.open("student"))
    (teacher,) = tree.inputs
    (corpus,) = teacher.inputs
    assert (tree.role, teacher.role, corpus.role) == ("", "teacher", "corpus")
    assert corpus.artifact == three.open("corpus/v1")
    assert corpus.inputs == ()
    three.open("corpus/v1").path.rename(three.root / "elsewhere")
    assert three.lineage(three.open("teacher")).inputs[0].artifact is None


def test_diff_names_what_is_different(three):
    difference = three.diff(three.open("corpus/v1"), three.open("corpus/v2"))
    assert difference.config == {"text": ("a", "b")}
    assert difference.inputs == {}
    assert difference.metrics == {}
    assert list(difference.files) == ["deep/model.txt"]
    across = three.diff(three.open("corpus/v1"), three.open("teacher"))
    assert across.config["seed"] == ("(absent)", 7)
    assert across.inputs["corpus"][0] == "(absent)"
