"""What needs no computing to be refused: planning and running say the same, at once, and nothing is written."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from test_bad_input import MISTAKES, Change, Mistake, overrides, tuned, without_tokenizer
from tiny_run import PRETRAINED as SCRATCH
from tiny_run import Tiny, save_teacher, sentences, tiny, write_tree

from flows.cli import main
from pipeline.errors import ConfigError, DataError, ModelError
from pipeline.evaluation.latency import longest_input
from pipeline.models.unloaded import check_encoder, read_model
from pipeline.stages.graph import CHECKS, find_mistakes

Ask = Callable[..., tuple[int, str, str]]

# These show only in what a stage computes, or in what a library alone can read.
LATE = {
    "nothing left of the corpus",
    "corpus smaller than a batch",
    "pretraining on less than a batch of sequences",
    "pretraining on less than a batch of word pieces",
}


def no_weights(run: Tiny) -> tuple[str, ...]:
    (run.folder / "teacher" / "model.safetensors").unlink()
    return ()


def no_configuration(run: Tiny) -> tuple[str, ...]:
    (run.folder / "teacher" / "config.json").unlink()
    return ()


def broken_configuration(run: Tiny) -> tuple[str, ...]:
    (run.folder / "teacher" / "config.json").write_text("{")
    return ()


def broken_tokenizer(run: Tiny) -> tuple[str, ...]:
    (run.folder / "teacher" / "tokenizer.json").write_text('{"model": ')
    return ()


def a_pickle(run: Tiny) -> tuple[str, ...]:
    folder = run.folder / "teacher"
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    return ()


def fewer_layers_than_said(run: Tiny) -> tuple[str, ...]:
    path = run.folder / "teacher" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_hidden_layers": 3}))
    return ()


def a_start_without(name: str) -> Change:
    def change(run: Tiny) -> tuple[str, ...]:
        save_teacher(run.folder / "own")
        for path in (run.folder / "own").glob(name):
            path.unlink()
        return (
            "students.1.start=./own",
            "students.1.layers=null",
            "students.1.hidden=null",
            "students.1.intermediate=null",
        )

    return change


def scratch(*given: str) -> Change:
    def change(run: Tiny) -> tuple[str, ...]:
        write_tree(run.folder, SCRATCH)
        return given

    return change


def another_corpus_tokenizer(run: Tiny) -> tuple[str, ...]:
    from pipeline.data.tokens.tokenizer import train_wordpiece

    train_wordpiece((text for text, _ in sentences(60, 0)), 95).save_pretrained(run.folder / "words")
    return ("corpus.tokenizer=./words",)


def a_quote_that_never_ends(run: Tiny) -> tuple[str, ...]:
    with (run.folder / "train.csv").open("a") as file:
        file.write('"the quick,city\n')
    return ()


def a_corpus_of(name: str, text: str) -> Change:
    def change(run: Tiny) -> tuple[str, ...]:
        (run.folder / name).write_text(text)
        return (f"corpus.paths=[{name}]",)

    return change


def an_encoder_as_masked_lm(run: Tiny) -> tuple[str, ...]:
    save_teacher(run.folder / "own")
    path = run.folder / "own" / "model.safetensors"
    save_file({k: v for k, v in load_file(path).items() if not k.startswith("cls.")}, path, {"format": "pt"})
    return ("augmentation.mlm=./own",)


EARLY = {
    "no weights": Mistake(no_weights, ModelError, ("teacher holds no weights", "save_pretrained")),
    "no configuration": Mistake(no_configuration, ModelError, ("'teacher'", "config.json")),
    "a configuration that is not JSON": Mistake(broken_configuration, ModelError, ("'teacher'", "not JSON")),
    "a tokenizer that is not JSON": Mistake(broken_tokenizer, ModelError, ("teacher", "tokenizer.json is damaged")),
    "a pickle": Mistake(a_pickle, ModelError, ("pytorch_model.bin", "pickle")),
    "fewer layers than said": Mistake(fewer_layers_than_said, ModelError, ("teacher lacks", "layer.2.")),
    "no GPU": Mistake(overrides("runtime.device=cuda"), ConfigError, ("'cuda'", "no GPU here")),
    "no label column": Mistake(overrides("task.label=subject"), DataError, ("train.csv", "'subject'", "'topic'")),
    "no second column": Mistake(overrides("task.text_pair=other"), DataError, ("train.csv", "'other'")),
    "a quote that never ends": Mistake(a_quote_that_never_ends, DataError, ("train.csv:50", "close its quotes")),
    "no development file": Mistake(overrides("task.dev=devel.csv"), DataError, ("devel.csv", "task.dev")),
    "no unlabelled file": Mistake(overrides("task.unlabelled=[more.txt]"), DataError, ("more.txt", "task.unlabelled")),
    "no such GLUE folder": Mistake(
        overrides("task.train=null", "task.dev=null", "task.dir=glue", "task.name=sst2"),
        DataError,
        ("glue", "task.dir"),
    ),
    "a layer map beyond the teacher": Mistake(
        overrides("students.0.layer_map=[9]"), ModelError, ("'distilled'", "outside 1..2")
    ),
    "a preset of other heads": Mistake(
        overrides('students=[{"name": "small", "preset": "tinybert-4l-312d"}]'),
        ModelError,
        ("4 attention heads", "'small' 12"),
    ),
    "a start without weights": Mistake(a_start_without("*.safetensors"), ModelError, ("own holds no weights",)),
    "a start without tokenizer": Mistake(a_start_without("*token*"), ModelError, ("own: no tokenizer",)),
    "no such start": Mistake(overrides("students.1.start=./own"), ModelError, ("'./own'", "check the path")),
    "a masked LM without head": Mistake(an_encoder_as_masked_lm, ModelError, ("own has no masked-LM head",)),
    "a corpus of other words": Mistake(another_corpus_tokenizer, ModelError, ("not that of the corpus (95)",)),
    "a corpus without the column": Mistake(
        a_corpus_of("corpus.jsonl", '{"body": "the quiet river"}\n'), DataError, ("corpus.jsonl:1", "'text'", "body")
    ),
    "a corpus of an unknown kind": Mistake(a_corpus_of("corpus.csv", "text\n"), DataError, ("'.csv'", "is not read")),
    "no such vectors": Mistake(overrides("augmentation.vectors.path=glove.txt"), DataError, ("glove.txt",)),
    "no such segmenter": Mistake(
        overrides("augmentation.words.segmentation=no_such_module:cut"), ConfigError, ("no_such_module", "PYTHONPATH")
    ),
    "an expression that is none": Mistake(
        overrides("augmentation.augmenters=[{tinybert: {}}, {keyboard: {stopwords_regex: '('}}]"),
        ConfigError,
        ("augmenter keyboard", "does not work"),
    ),
    "an augmenter's unknown option": Mistake(
        overrides("augmentation.augmenters=[{keyboard: {speed: 2}}]"), ConfigError, ("keyboard takes no 'speed'",)
    ),
    "a tuned teacher of a row too many": Mistake(
        lambda run: tuned(run, ["animal", "city", "food", "river"]), ModelError, ("'river'", "task.label_names")
    ),
    "a pretrained teacher that is never tuned": Mistake(
        scratch("teacher.finetune=null"), ModelError, ("comes from pretraining", "teacher.finetune")
    ),
    "a pretrained teacher of few positions": Mistake(
        scratch("pretrain.max_length=18"), ModelError, ("24 word pieces", "18 positions", "corpus.max_length")
    ),
    "a pretrained teacher of other heads": Mistake(
        scratch("students.0.heads=4"), ModelError, ("2 attention heads", "'distilled' 4")
    ),
    "a package that is not there": Mistake(
        overrides("task={packages: [numpy, no_such_package], train_rows: 8, dev_rows: 8}"),
        DataError,
        ("no_such_package", "not installed"),
    ),
    "packages without row numbers": Mistake(
        overrides("task={packages: [numpy, pandas]}"), ConfigError, ("task.train_rows", "give numbers")
    ),
} | {name: mistake for name, mistake in MISTAKES.items() if name not in LATE}


@pytest.fixture
def tinybert(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Exit code, standard output and standard error of a command."""

    def ask(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return ask


@pytest.mark.parametrize("mistake", EARLY.values(), ids=EARLY)
def test_planning_and_running_refuse_alike_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tinybert: Ask, mistake: Mistake
) -> None:
    monkeypatch.chdir(tmp_path)
    given = mistake.change(tiny(tmp_path))
    code, out, err = tinybert("plan", "tiny.yaml", *given)
    assert (code, out) == (mistake.error.exit_code, "")
    lines = err.splitlines()
    assert lines[0].startswith("error: ")
    assert [part for part in mistake.said if part not in lines[0]] == [], err
    assert tinybert("run", "tiny.yaml", *given) == (code, "", err)  # no word of Prefect, which would start now
    assert not (tmp_path / "artifacts").exists()


def test_all_mistakes_are_shown_and_the_first_decides_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tinybert: Ask
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tiny(tmp_path)
    without_tokenizer(run)
    given = ("task.text=sentense", "runtime.device=cuda", "students.0.layer_map=[9]", "students.1.hidden=18")
    code, _, err = tinybert("run", "tiny.yaml", *given)
    lines = err.splitlines()
    assert [line.startswith("error: ") for line in lines] == [True] * 5, err
    assert code == ModelError.exit_code
    for line, said in zip(lines, ("no tokenizer", "'cuda'", "layer map (9,)", "'sentense'", "18 wide"), strict=True):
        assert said in line, err


def test_a_finished_stage_is_not_checked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tinybert: Ask) -> None:
    """Where a run lies that was computed elsewhere, its results show without its device."""
    monkeypatch.chdir(tmp_path)
    tiny(tmp_path, finished=True)
    assert tinybert("run", "tiny.yaml", "runtime.device=cuda", "--until", "evaluation", "--quiet")[0] == 0
    code, _, err = tinybert("plan", "tiny.yaml", "runtime.device=cuda", "phases.prediction.terms.soft.temperature=2")
    assert (code, err.count("\n")) == (ConfigError.exit_code, 1)


def test_until_leaves_later_mistakes_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = tiny(tmp_path)
    assert find_mistakes(run.config("task.text=sentense"), until="general_distillation") == []
    assert len(find_mistakes(run.config("task.text=sentense"))) == 1


@pytest.mark.parametrize("tree", [None, SCRATCH], ids=["teacher", "pretrained"])
def test_a_run_without_mistakes_is_refused_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree: dict[str, object] | None
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tiny(tmp_path)
    if tree:
        write_tree(run.folder, tree)
    assert find_mistakes(run.config()) == []
    phases = {phase.name for phase in run.config().phases}
    assert set(run.names) - set(CHECKS) - phases == {"report"}  # which reads nothing of the user's


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_wrong_column_is_told_without_a_heavy_library(tmp_path: Path, command: str) -> None:
    tiny(tmp_path)
    script = (
        "import json, sys\n"
        "from flows.cli import main\n"
        "try:\n    main([sys.argv[1], 'tiny.yaml', 'task.text=sentense'])\n"
        "except SystemExit as left:\n    print(left.code, *(set(sys.modules) & set(json.loads(sys.argv[2]))))\n"
    )
    heavy = ["torch", "transformers", "datasets", "prefect", "tokenizers", "nlpaug", "sklearn"]
    done = subprocess.run(
        [sys.executable, "-c", script, command, json.dumps(heavy)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["3"]
    assert "'sentense'" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("family", ["bert", "roberta", "camembert", "electra", "distilbert", "mpnet", "albert"])
def test_a_folder_says_what_its_loaded_model_is(tmp_path: Path, family: str) -> None:
    """The families whose positions, heads and weights are read from a folder are as the library has them."""
    from transformers import AutoConfig, AutoModelForMaskedLM, AutoModelForSequenceClassification

    from pipeline.models.unloaded import CLASSIFIERS, MASKED_LM_HEADS

    small = {"vocab_size": 40, "max_position_embeddings": 30, "embedding_size": 12, "num_labels": 3}
    if family == "distilbert":
        shape = {"dim": 12, "n_layers": 2, "n_heads": 3, "hidden_dim": 20}
    else:
        shape = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20}
    config = AutoConfig.for_model(family, **small, **shape)
    for number, factory in enumerate((AutoModelForMaskedLM, AutoModelForSequenceClassification)):
        model = factory.from_config(config)
        model.save_pretrained(tmp_path / str(number))
        read = read_model(tmp_path / str(number))
        check_encoder(read)
        assert (read.hidden_size, read.num_hidden_layers, read.num_attention_heads, read.vocab_size) == (12, 2, 3, 40)
        assert read.positions == longest_input(model)
        assert len(read.labels) == 3
        assert read.has_weights(*MASKED_LM_HEADS[family]) == (number == 0)
        assert read.has_weights("classifier.") == (number == 1)
    assert family in CLASSIFIERS


def test_what_is_called_no_encoder_is_none() -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    from pipeline.models.unloaded import NOT_ENCODERS

    assert not NOT_ENCODERS & set(MODEL_FOR_MASKED_LM_MAPPING_NAMES)
