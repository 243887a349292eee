"""Anchored, a configuration names the same files from everywhere, and nothing else about it changes."""

from pathlib import Path

from tiny_run import tiny

from pipeline.config.load import load_config
from pipeline.config.locations import anchored, as_shown
from pipeline.stages.graph import two_stage
from pipeline.store.explain import plan


def test_every_file_of_a_run_is_named_from_the_root(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    config = anchored(run.config(), tmp_path)
    assert config.corpus is not None
    assert config.task is not None
    assert config.corpus.paths == (str(tmp_path / "corpus.txt"),)
    assert (config.task.train, config.task.dev) == (str(tmp_path / "train.csv"), str(tmp_path / "dev.csv"))
    assert config.task.unlabelled == (str(tmp_path / "extra.txt"),)
    assert config.teacher.model == str(tmp_path / "teacher")
    assert config.runtime.store == str(tmp_path / "artifacts")
    assert [student.start for student in config.students] == ["general", "random"]
    assert config.augmentation is not None
    assert config.augmentation.mlm == "teacher"  # the word, though there is a folder of that name


def test_an_anchored_run_is_the_same_run(tmp_path: Path) -> None:
    """To the report, which shows the paths: how they are spelt is not what they are."""
    run = tiny(tmp_path, finished=True)
    config = anchored(run.config(), tmp_path)
    assert anchored(config, Path("/elsewhere")) == config
    actions = {stage.name: reason.action for stage, reason in plan(two_stage(config), run.store)}
    assert set(actions.values()) == {"reuse"}
    assert set(run.plan("corpus.paths=[./corpus.txt]", "task.dev=teacher/../dev.csv").values()) == set(
        run.plan().values()
    )


def test_a_path_outside_is_shown_whole(tmp_path: Path) -> None:
    given = ["corpus.paths=[/data/*.txt, ./near/*.txt]", "teacher.model=~/bert", "runtime.store=sub/../artifacts"]
    shown = as_shown(load_config(None, given), tmp_path)
    assert shown.corpus is not None
    assert shown.corpus.paths == ("/data/*.txt", "near/*.txt")
    assert shown.teacher.model == str(Path.home() / "bert")


def test_a_name_on_a_hub_stays_one_unless_there_is_such_a_folder(tmp_path: Path) -> None:
    given = ["teacher.model=org/bert", "corpus.hub=org/text", "task.hub=glue", "students.0.start=org/student"]
    config = load_config(None, [*given, "augmentation.mlm=org/mlm", "students.0.preset=null"])
    assert anchored(config, tmp_path) == config.model_copy(
        update={"runtime": config.runtime.model_copy(update={"store": str(tmp_path / "artifacts")})}
    )
    (tmp_path / "org" / "bert").mkdir(parents=True)
    assert anchored(config, tmp_path).teacher.model == str(tmp_path / "org" / "bert")


def test_what_comes_with_the_project_and_what_is_the_users_keep_their_places(tmp_path: Path) -> None:
    demo = anchored(load_config(None, [], "demo"), tmp_path)
    assert demo.teacher.model == "builtin:demo-teacher"
    own = load_config(None, ["teacher.model=~/bert", "corpus.paths=[/data/*.txt]", "runtime.store=~/artifacts"])
    found = anchored(own, tmp_path)
    assert found.teacher.model == str(Path.home() / "bert")
    assert found.corpus is not None
    assert found.corpus.paths == ("/data/*.txt",)
    assert found.runtime.store == str(Path.home() / "artifacts")
