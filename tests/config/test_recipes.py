import pytest

from pipeline.config.load import load_config
from pipeline.config.recipes import recipe_text, recipes
from pipeline.data.tasks.glue import GLUE
from pipeline.errors import ConfigError

NEEDS = ("teacher.model=bert", "corpus.paths=[a.txt]", "task.dir=d")


def test_every_recipe_has_a_description_of_one_line():
    found = dict(recipes())
    assert {"demo", "huawei", "tinybert"} <= set(found)
    assert all(len(text) > 20 and "\n" not in text for text in found.values())
    assert "released" in found["huawei"]


def test_the_text_of_a_recipe_is_its_file():
    assert recipe_text("tinybert").startswith("# TinyBERT4")
    with pytest.raises(ConfigError, match="no recipe 'tinybrt': did you mean 'tinybert'"):
        recipe_text("tinybrt")
    with pytest.raises(ConfigError, match=r"no recipe '\.\./tinybert'"):
        recipe_text("../tinybert")


def test_the_demo_needs_nothing():
    assert load_config(None, [], "demo").task.packages


@pytest.mark.parametrize("recipe", ["tinybert", "huawei"])
def test_a_recipe_says_what_it_needs(recipe):
    with pytest.raises(ConfigError, match=r"there is no teacher|a task has one source"):
        load_config(None, [], recipe)


# epochs of the intermediate phase, variants a row, length: FIELD figures of the paper and of its code
PAPER = {
    "CoLA": (50, 30, 64),
    "SST-2": (20, 20, 64),
    "mrpc": (20, 30, 128),
    "STS-B": (20, 30, 128),
    "QQP": (10, 10, 128),
    "mnli": (10, 10, 128),
    "qnli": (10, 20, 128),
    "RTE": (20, 30, 128),
    "wnli": (20, 30, 128),
}


@pytest.mark.parametrize("name", PAPER)
def test_tinybert_follows_the_paper_on_every_glue_task(name):
    config = load_config(None, [*NEEDS, f"task.name={name}"], "tinybert")
    intermediate, prediction = config.phases
    phase = intermediate.training
    assert (phase.epochs, config.augmentation.variants, config.task.max_length) == PAPER[name]
    assert config.task.max_length == GLUE[name.lower().replace("-", "")].max_length
    assert (phase.learning_rate, phase.batch_size) == (5e-5, 32)
    assert prediction.augmented == (name != "STS-B")


def test_tinybert_has_the_figures_of_the_paper():
    config = load_config(None, NEEDS, "tinybert")
    general, prediction, finetune = (
        config.general_distillation.training,
        config.phases[1].training,
        config.teacher.finetune,
    )
    assert (general.learning_rate, general.batch_size, general.epochs, config.corpus.max_length) == (1e-4, 256, 3, 128)
    assert (prediction.learning_rate, prediction.batch_size, prediction.epochs) == (3e-5, 32, 3)
    assert (finetune.learning_rate, finetune.batch_size, finetune.epochs) == (2e-5, 32, 3)
    assert (config.augmentation.candidates, config.augmentation.probability) == (15, 0.4)
    assert [student.preset for student in config.students] == ["tinybert-4l-312d"]


def test_the_user_has_the_last_word_over_the_task(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("recipe: tinybert\ntask: {name: CoLA, dir: d}\nphases: {intermediate: {training: {epochs: 2}}}\n")
    config = load_config(str(path), ["teacher.model=bert", "corpus.paths=[a]", "augmentation.variants=1"])
    assert (config.phases[0].training.epochs, config.augmentation.variants, config.task.max_length) == (2, 1, 64)


def test_another_task_takes_the_values_of_the_paper_as_they_are():
    config = load_config(None, [*NEEDS, "task.name=mine"], "tinybert")
    assert (config.phases[0].training.epochs, config.augmentation.variants, config.task.max_length) == (20, 20, None)


def test_tinybert_without_a_task_is_general_distillation_alone():
    assert load_config(None, NEEDS[:2], "tinybert").task is None


@pytest.mark.parametrize("name", [*GLUE, "mine"])
def test_huawei_does_what_the_released_code_does(name):
    config = load_config(None, [*NEEDS, f"task.name={name}"], "huawei")
    intermediate, prediction = config.phases
    phases = (config.general_distillation, intermediate, prediction)
    assert config.relu_logits
    assert config.task.max_length == 128
    assert intermediate.teacher_dropout
    assert config.augmentation.pair_mutation
    assert all(phase.training.drop_last and phase.training.padding == "max_length" for phase in phases)
    for terms in (phase.terms for phase in phases[:2]):
        assert terms.embedding.projection == "shared"
        assert all(term.count_padding for _, term in terms.named())
    if name == "stsb":
        assert [term for term, _ in prediction.terms.named()] == ["hard"]
    else:
        assert [term for term, _ in prediction.terms.named()] == ["soft"]
        assert prediction.terms.soft.mean_over_classes
    assert intermediate.training.epochs == 10
    assert intermediate.training.schedule == "constant"


def test_every_deviation_of_the_released_code_has_its_comment():
    lines = recipe_text("huawei").splitlines()
    keys = ("relu_logits", "max_length: 128", "embedding: {projection", "drop_last", "pair_mutation",
            "teacher_dropout", "schedule", "terms: {soft", "stsb")  # fmt: skip
    for key in keys:
        where = next(n for n, line in enumerate(lines) if line.strip().startswith(key))
        assert lines[where - 1].strip().startswith("#"), key


@pytest.mark.parametrize("recipe", ["tinybert", "huawei"])
def test_a_recipe_brings_the_papers_corpus_and_gives_way_to_ones_own(recipe):
    asked = ["teacher.model=bert", "task.name=sst2", "task.dir=d"]
    paper = load_config(None, asked, recipe).corpus
    own = load_config(None, [*asked, "corpus.paths=[a.txt]"], recipe).corpus
    assert (paper.hub, paper.hub_config) == ("wikimedia/wikipedia", "20231101.en")
    assert (own.paths, own.hub, own.hub_config) == (("a.txt",), None, None)
