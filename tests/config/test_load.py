import subprocess
import sys

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config.load import load_config, to_yaml
from pipeline.config.models import PRESETS
from pipeline.config.run import RunConfig
from pipeline.config.schema import known_keys
from pipeline.config.yaml_text import one_line
from pipeline.errors import ConfigError

GENERAL = ("teacher.model=bert", "corpus.paths=[a.txt]")


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "run.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def said(*overrides, path=None, recipe="demo"):
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides, recipe)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_overrides_lie_over_the_file_and_the_file_over_the_recipe(written):
    path = written("recipe: demo\nname: mine\nseed: 1\ntask: {train_rows: 5}\n")
    config = load_config(path, ["seed=2"])
    assert (config.name, config.seed, config.task.train_rows) == ("mine", 2, 5)
    assert config.task.packages == load_config(None, [], "demo").task.packages


def test_a_section_given_in_part_keeps_its_own_defaults():
    whole = load_config(None, GENERAL)
    part = load_config(None, [*GENERAL, "general_distillation.training.epochs=1", "evaluation.label_only.epochs=1"])
    assert whole.general_distillation.training.learning_rate == 1e-4
    assert part.general_distillation.training == whole.general_distillation.training.model_copy(update={"epochs": 1})
    assert part.evaluation.label_only == whole.evaluation.label_only.model_copy(update={"epochs": 1})


def test_a_section_switched_off_below_comes_back_with_its_own_defaults(written):
    path = written("teacher: {model: bert}\ncorpus: {paths: [a]}\nphases: {intermediate: null}\n")
    assert [phase.name for phase in load_config(path, []).phases] == ["prediction"]
    path = written("teacher: {model: bert}\ncorpus: {paths: [a]}\n")
    assert load_config(path, ["phases.intermediate.training.epochs=2"]).phases[0].training.learning_rate == 5e-4
    pretrain = load_config(path, ["pretrain.mode=continue", "pretrain.training.epochs=2"]).pretrain
    assert (pretrain.training.max_tokens, pretrain.training.epochs) == (8192, 2)


def test_null_switches_a_section_off():
    assert load_config(None, ["augmentation=null", "teacher.finetune=null"], "demo").augmentation is None
    assert "evaluation is null, expected a section" in said("evaluation=null")


def test_students_are_reached_by_position():
    config = load_config(None, [*GENERAL, "students.0.name=small"])
    assert (config.students[0].name, config.students[0].preset) == ("small", "tinybert-4l-312d")
    config = load_config(
        None,
        [
            *GENERAL,
            "students.0.layers=3",
            "students.0.hidden=24",
            "students.1.preset=tinybert-6l-768d",
            "students.1.name=b",
        ],
    )
    assert [(s.preset, s.layers) for s in config.students] == [(None, 3), ("tinybert-6l-768d", None)]
    assert load_config(None, [*GENERAL, "evaluation.latency_lengths.1=32"]).evaluation.latency_lengths == (16, 32, 128)
    assert load_config(None, ["teacher.model=bert", "corpus.paths.0=a"]).corpus.paths == ("a",)


def test_another_source_replaces_that_of_the_recipe():
    config = load_config(None, ["corpus.paths=[x.txt]", "task.dir=SST-2", "task.name=sst2"], "demo")
    assert (config.corpus.paths, config.corpus.packages, config.corpus.max_length) == (("x.txt",), (), 64)
    assert (config.task.dir, config.task.packages) == ("SST-2", ())
    assert "a task has one source, got ['dir', 'hub']" in said("task.dir=a", "task.hub=b")


def test_label_names_are_merged_by_value_not_by_type(written):
    path = written("teacher: {model: b}\ncorpus: {paths: [a]}\ntask: {dir: d, label_names: {0: bad, 1: good}}\n")
    assert load_config(path, ["task.label_names.0=worse"]).task.label_names == {"0": "worse", "1": "good"}


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("task.train_rows=three", ["task.train_rows is 'three'", "a whole number above 0 or null"]),
        ("phases.prediction.training.epochs=1.5", ["phases.1.training.epochs is 1.5", "a whole number"]),
        ("phases.prediction.training.learning_rate=-1", ["is -1", "a number above 0"]),
        ("phases.prediction.training.learning_rate=.inf", ["is inf", "a number above 0"]),
        ("phases.prediction.training.schedule=linea", ["is 'linea'", "cosine or constant", "did you mean linear?"]),
        ("phases.prediction.training.drop_last=maybe", ["is 'maybe'", "true or false"]),
        ("task.unlabelled_rows=some", ["task.unlabelled_rows is 'some'", "a whole number above 0, rest or null"]),
        ("students.0.layer_map=[1, x]", ["students.0.layer_map.1 is 'x'", "a whole number above 0"]),
        ("students.0.name=A b", ["students.0.name is 'A b'", "matching"]),
        ("corpus.paths=*.txt", ["corpus.paths is '*.txt'", "a list of text", "write [*.txt]"]),
        ("corpus.tokenizer={vocab_size: x}", ["corpus.tokenizer.vocab_size is 'x'", "a whole number"]),
        ("name=5", ["name is 5", "expected text", "in quotes"]),
        ("name=no", ["name is false", "in quotes"]),
        ("task.hub_splits=[a]", ["task.hub_splits is ['a']", "a list of 2"]),
        ("pretrain=5", ["pretrain is 5", "a section with keys mode", "or null"]),
        ("pretrain.max_length=3", ["pretrain.mode is missing", "scratch, continue or mlm_head"]),
        ("students={preset: x}", ["students.preset does not exist", "two-stage", "begins each item with '- '"]),
        ("students=[]", ["students is empty"]),
        ("students.7.name=x", ["students.7 does not exist", "students has 2 items"]),
        ("augmentation.probability=2", ["augmentation.probability is 2", "at most 1"]),
        ("pretrain={mode: scratch, architecture: {layers: 1, hidden: 10, heads: 3, intermediate: 4}}",
         ["pretrain.architecture: hidden 10 is not a multiple of heads 3"]),
        ("task.trainrows=5", ["task.trainrows is not a known key", "did you mean task.train_rows?"]),
        ("studnets=[]", ["studnets is not a known key", "did you mean students?"]),
        ("teacher.learning_rate=1", ["is a key of teacher.finetune", "write teacher.finetune.learning_rate"]),
        ("learning_rate=1", ["learning_rate is a key of", "teacher.finetune", "more"]),
        ("students.0.layer=3", ["students.0.layer is not a known key", "did you mean students.0.layers?"]),
        ("corpus.tokenizer.vocab_siz=3", ["did you mean corpus.tokenizer.vocab_size?"]),
        ("teacher.finetune.lr=3", ["teacher.finetune has the keys epochs, max_steps"]),
        ("seed.x=3", ["seed is {'x': 3}", "a whole number"]),
        ("foo.bar=3", ["foo is not a known key"]),
        ("recipe=tinybert", ["--recipe"]),
        ("seed=true", ["seed is true", "a whole number of at least 0"]),
        ("seed=1e3", ["seed is 1000.0", "a whole number of at least 0"]),
        ("phases.prediction.training.epochs='3'", ["phases.1.training.epochs is '3'", "a whole number above 0"]),
        ("phases.prediction.terms.soft.temperature='2'", ["phases.1.terms.soft.temperature is '2'", "number above 0"]),
        ("augmentation.probability=true", ["augmentation.probability is true", "a number"]),
        ("corpus.deduplicate=1", ["corpus.deduplicate is 1", "true or false"]),
        ("task.train_rows=true", ["task.train_rows is true", "a whole number above 0 or null"]),
        ("evaluation.latency_lengths=[]", ["evaluation.latency_lengths is []", "at least 1 of whole numbers above 0"]),
        ("evaluation.latency_batches=[]", ["evaluation.latency_batches is []", "at least 1 of whole numbers above 0"]),
        ("evaluation.latency_lengths=[16, true]", ["evaluation.latency_lengths.1 is true", "a whole number above 0"]),
        ("students.0.heads=5", ["students.0", "'two-stage' is 84 wide", "its 5 heads", "80 or 85", "4 or 6 heads"]),
    ],
)  # fmt: skip
def test_a_mistake_names_the_key_its_value_and_the_way_out(override, parts):
    message = said(override)
    for part in parts:
        assert part in message


def test_the_other_mistakes_are_named_too_unknown_keys_first():
    message = said("seed=x", "foo=1", "task.train_rows=three")
    assert message.startswith("foo is not a known key")
    _, *also = message.split("; also: ")
    assert [one.split(",")[0] for one in also] == ["seed is 'x'", "task.train_rows is 'three'"]
    assert all("expected a whole number" in one for one in also)
    many = said("seed=x", *(f"foo{number}=1" for number in range(6)))
    assert many.count("not a known key") == 4
    assert many.endswith("; also: 3 more")
    assert "\n" not in many


def test_a_file_with_the_other_ending_is_what_was_meant(tmp_path):
    (tmp_path / "ok.yaml").write_text("recipe: demo\n")
    for meant in ("ok.yml", "okk.yaml", "ok"):
        with pytest.raises(ConfigError, match=r"did you mean .*/ok\.yaml\?"):
            load_config(str(tmp_path / meant), [])


def test_contradictions_of_the_whole_run_are_said_as_they_are():
    assert said(recipe=None).startswith("there is no teacher: set teacher.model")
    assert said("teacher.model=bert", recipe=None).startswith("there is no corpus")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["is empty"]),
        ("# only a comment\n", ["is empty"]),
        ("- a\n- b\n", ["holds ['a', 'b']", "expected keys and values"]),
        ("just text", ["holds 'just text'"]),
        (b"name: \xff\xfe\n", ["is not UTF-8 text (byte 6)"]),
        (b"name: \x00\x01\n", ["is not text"]),
        ("name: a\n\tseed: 1\n", ["line 2, column 1", "indent with spaces"]),
        ("name: a: b\n", ["line 1, column 8", "in quotes"]),
        ("task:\n  dir: a\n  text: b\n  dir: c\n", ["line 4, column 3", "'dir' is given twice (first on line 2)"]),
        ("corpus: {paths: [a\n", ["close what is open"]),
        ("name: a\n---\nname: b\n", ["delete the line ---"]),
        ("seed: !!int many\n", ["line 1, column 7", "'many' cannot be read as int"]),
        ("seed: !!python/object:os.system x\n", ["line 1, column 7"]),
        ("a: " + "[" * 5000, ["nested too deeply"]),
        ("recipe: [demo]\n", ["recipe is ['demo']", "demo, hinton, huawei, tinybert"]),
        ("recipe: dmo\n", ["no recipe 'dmo'", "did you mean 'demo'?"]),
        ("per_task: 3\n", ["per_task maps a task name"]),
        ("1: 2\n", ["1 is not a known key"]),
        ("teacher: &t {finetune: *t}\n", ["teacher"]),
    ],
)
def test_a_file_that_is_no_configuration(written, text, parts):
    message = said(path=written(text), recipe=None)
    for part in parts:
        assert part in message


def test_files_that_cannot_be_read(tmp_path):
    assert "does not exist: tinybert init writes one" in said(path=str(tmp_path / "no.yaml"), recipe=None)
    assert "write --recipe demo" in said(path="demo", recipe=None)
    assert "is a folder" in said(path=str(tmp_path), recipe=None)
    assert "cannot be read" in said(path="a\0b", recipe=None)
    assert r"two\nlines does not exist" in said(path="two\nlines", recipe=None)
    assert "cannot be read" in said(path="x" * 5000, recipe=None)


def test_a_byte_order_mark_and_a_recipe_named_twice(written):
    assert load_config(written(b"\xef\xbb\xbfrecipe: demo\nseed: 3\n"), [], "demo").seed == 3
    assert "starts from recipe 'demo', but 'tinybert' was asked for" in said(
        path=written("recipe: demo\n"), recipe="tinybert"
    )


def test_the_resolved_configuration_is_plain_yaml_that_loads_back(written):
    config = load_config(None, ["students.0.layer_map=[1, 2, 4]", "name='two: words'"], "demo")
    text = to_yaml(config)
    assert yaml.safe_load(text)["students"][0]["layer_map"] == [1, 2, 4]
    assert load_config(written(text), []) == config


def test_a_whole_number_is_a_number_and_so_is_one_with_an_exponent(written):
    path = written(
        "phases: {prediction: {terms: {soft: {temperature: 2}}, training: {learning_rate: 3e-4, warmup: 1E-1}}}\n"
        "name: '1e5'\n"
    )
    config = load_config(
        path, ["phases.intermediate.training.learning_rate=1e-4", "students.0.layer_map=[1, 2]"], "demo"
    )
    intermediate, prediction = config.phases
    assert (prediction.terms.soft.temperature, prediction.training.learning_rate) == (2.0, 3e-4)
    assert (prediction.training.warmup, intermediate.training.learning_rate) == (0.1, 1e-4)
    assert config.students[0].layer_map == (1, 2)
    assert load_config(written(to_yaml(config)), []) == config  # text that looks like a number stays text


def test_no_credentials_are_written():
    text = to_yaml(load_config(None, ["corpus.paths=['s3://key:secret@bucket/a.txt']"], "demo"))
    assert "s3://***@bucket/a.txt" in text
    assert "secret" not in text


def test_presets_are_those_a_student_may_name():
    for preset in PRESETS:
        assert load_config(None, [*GENERAL, f"students=[{{preset: {preset}}}]"]).students[0].preset == preset


def test_reading_a_configuration_imports_nothing_heavy():
    code = (
        "import sys, pipeline.config.load, pipeline.config.commented as c; c.commented('demo');"
        "print(*{'torch', 'transformers', 'numpy', 'prefect', 'pyarrow', 'datasets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2), max_leaves=4
)
PLACES = st.sampled_from(known_keys(RunConfig)) | st.text("abc.0_=[]{}'\"#: ")


@settings(deadline=None)
@given(st.lists(st.tuples(PLACES, ANYTHING.map(one_line) | st.text()), max_size=3))
def test_whatever_is_asked_for_is_a_configuration_or_one_line(asked):
    overrides, message = [f"{place}={value}" for place, value in asked], "one line"
    try:
        config = load_config(None, overrides, "demo")
    except ConfigError as error:
        message = str(error)
    else:
        assert RunConfig.model_validate(yaml.safe_load(to_yaml(config))) == config
    assert message.splitlines() == [message]
