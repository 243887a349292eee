import re

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.config.commented import commented
from pipeline.config.load import load_config, to_yaml
from pipeline.config.run import RunConfig
from pipeline.config.schema import complete, item, known_keys, plain, section
from pipeline.errors import ConfigError

NEEDS = ("teacher.model=bert", "corpus.paths=[a.txt]")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@st.composite
def configs(draw):
    """Configurations in which every kind of value occurs: text of any sort, lists, sections on and off."""
    tree = {
        "name": draw(TEXTS),
        "seed": draw(st.integers(0, 2**40)),
        "teacher": {"model": draw(TEXTS), "finetune": draw(st.sampled_from([None, {"epochs": 7}]))},
        "corpus": {
            "paths": draw(st.lists(TEXTS, min_size=1, max_size=3)),
            "tokenizer": draw(st.none() | TEXTS | st.just({"vocab_size": 9})),
        },
        "pretrain": draw(st.sampled_from([None, {"mode": "continue"}])),
        "task": draw(
            st.none()
            | st.fixed_dictionaries(
                {
                    "dir": TEXTS,
                    "label_names": st.dictionaries(TEXTS, TEXTS, max_size=3),
                    "unlabelled_rows": st.sampled_from([None, 5, "rest"]),
                    "label_range": st.none() | st.tuples(st.floats(-1e9, 1e9), st.floats(0, 1e-9)),
                }
            )
        ),
        "augmentation": draw(st.sampled_from([None, {"mlm": None}, {"vectors": {"path": "#1: x"}}])),
        "students": [
            {"name": f"s{n}", "layers": 3, "hidden": 24, "layer_map": draw(st.sampled_from(["top", [1, 2, 3]]))}
            for n in range(draw(st.integers(1, 3)))
        ],
        "phases": {"prediction": {"training": {"learning_rate": draw(st.floats(1e-300, 1e300))}}},
    }
    return RunConfig.model_validate(complete(tree, RunConfig))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(configs())
def test_what_is_written_loads_back_to_the_same_configuration(tmp_path, config):
    path = tmp_path / "run.yaml"
    path.write_text(commented(config), "utf-8")
    assert load_config(str(path), []) == config
    path.write_text(to_yaml(config), "utf-8")
    assert yaml.safe_load(to_yaml(config)) == plain(config)


@pytest.mark.parametrize("recipe", ["demo", "hinton", "huawei", "tinybert"])
@pytest.mark.parametrize("task", ["CoLA", "stsb", "mine"])
def test_a_recipe_written_out_is_still_that_recipe(tmp_path, recipe, task):
    path = tmp_path / "run.yaml"
    path.write_text(commented(recipe), "utf-8")
    overrides = [*NEEDS, "task.dir=d", f"task.name={task}"]
    assert load_config(str(path), overrides) == load_config(None, overrides, recipe)


def test_the_demo_written_out_is_complete(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(commented("demo"), "utf-8")
    assert load_config(str(path), []) == load_config(None, [], "demo")


def test_no_recipe_of_that_name():
    with pytest.raises(ConfigError, match="no recipe 'dem'"):
        commented("dem")


def test_every_key_is_there_with_its_default():
    text = commented("tinybert")
    for key in known_keys(RunConfig):
        # the keys of a vocabulary, or of a schedule, are named where a folder, or a number, may stand as well
        inline = key.rpartition(".")[0].endswith(("corpus.tokenizer", ".weight", ".temperature"))
        place = ".*" if inline else "^[ #-]*"
        assert re.search(rf"{place}\b{key.rpartition('.')[2]}\b", text, re.MULTILINE), key
    assert "epochs: 3  # Passes over the rows; a whole number above 0; default 3" in text
    assert "schedule: linear  # Decay of the learning rate; linear, cosine or constant; default linear" in text
    assert "learning_rate: 2.0e-05  # Peak learning rate; a number above 0; default 5.0e-05" in text
    assert "learning_rate: 0.0001  # Peak learning rate; a number above 0; default 0.0001" in text


def test_a_section_switched_off_is_used_by_uncommenting_its_keys(tmp_path):
    text = commented(load_config(None, NEEDS))
    off, _, rest = text.partition("\ntask: null\n")
    keys, gap, after = rest.partition("\n\n")
    assert all(line.startswith("  # ") for line in keys.splitlines())
    keys = re.sub("^  # ", "  ", keys, flags=re.MULTILINE).replace("dir: null", "dir: folder")
    path = tmp_path / "run.yaml"
    path.write_text(f"{off}\ntask:\n{keys}{gap}{after}", "utf-8")
    assert load_config(str(path), []) == load_config(None, [*NEEDS, "task.dir=folder"])


def test_every_key_says_what_it_is():
    def silent(model, at=""):
        for name, field in model.model_fields.items():
            inside = section(field.annotation) or section(item(field.annotation))
            if inside:
                yield from silent(inside, f"{at}{name}.")
            elif not field.title and not field.description:
                yield at + name

    assert list(silent(RunConfig)) == []


def test_no_line_is_too_long_to_read():
    assert max(map(len, commented("demo").splitlines())) <= 130
