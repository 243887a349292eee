"""What a user may get wrong: one line with the value and the way out, and nothing half-written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_run import SHAPE, STAGES, Tiny, save_teacher, sentences, tiny, write_csv
from transformers import AutoModelForSequenceClassification, BertConfig, GPT2Config

from pipeline.data.tokens.tokenizer import train_wordpiece
from pipeline.errors import ConfigError, DataError, ModelError, PipelineError, StoreError

Change = Callable[[Tiny], tuple[str, ...]]


class Mistake(NamedTuple):
    """What is done to a run, the error it meets, what the line has to say, and the stages finished by then."""

    change: Change
    error: type[PipelineError]
    said: tuple[str, ...]
    done: int = 0  # of STAGES


def overrides(*given: str) -> Change:
    return lambda _run: given


def without_tokenizer(run: Tiny) -> tuple[str, ...]:
    for path in (run.folder / "teacher").glob("*token*"):
        path.unlink()
    for name in ("vocab.txt", "special_tokens_map.json"):
        (run.folder / "teacher" / name).unlink(missing_ok=True)
    return ()


def with_a_larger_tokenizer(run: Tiny) -> tuple[str, ...]:
    words = [" ".join(f"{text} {number}x{number}" for text, _ in sentences(9, number)) for number in range(90)]
    train_wordpiece(words, 400).save_pretrained(run.folder / "teacher")
    return ()


def with_a_tokenizer_of_its_own(_run: Tiny) -> tuple[str, ...]:
    return ("corpus.tokenizer={vocab_size: 90}",)


def not_an_encoder(run: Tiny) -> tuple[str, ...]:
    GPT2Config(vocab_size=110, n_embd=32, n_layer=2, n_head=4).save_pretrained(run.folder / "teacher")
    return ()


def another_models_config(run: Tiny) -> tuple[str, ...]:
    BertConfig(vocab_size=110, hidden_size=48, num_hidden_layers=2, num_attention_heads=4).save_pretrained(
        run.folder / "teacher"
    )
    return ()


def damaged_weights(run: Tiny) -> tuple[str, ...]:
    path = run.folder / "teacher" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    return ()


def few_positions(run: Tiny) -> tuple[str, ...]:
    save_teacher(run.folder / "teacher", max_position_embeddings=16)
    return ()


def few_positions_for_the_task(run: Tiny) -> tuple[str, ...]:
    save_teacher(run.folder / "teacher", max_position_embeddings=16)
    return ("corpus.max_length=12",)


def tuned_on_other_labels(run: Tiny) -> tuple[str, ...]:
    return tuned(run, ["beast", "town", "dish"])


def tuned_with_nameless_labels(run: Tiny) -> tuple[str, ...]:
    return tuned(run, ["LABEL_0", "LABEL_1", "LABEL_2"])


def tuned(run: Tiny, names: list[str]) -> tuple[str, ...]:
    torch.manual_seed(0)
    folder = run.folder / "teacher"
    AutoModelForSequenceClassification.from_pretrained(
        folder,
        num_labels=len(names),
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    ).save_pretrained(folder)
    return ("teacher.finetune=null",)


def tuned_for_classes_on_a_score(run: Tiny) -> tuple[str, ...]:
    for name in ("train.csv", "dev.csv"):
        rows = [(text, len(text) / 10) for text, _ in sentences(24, 4)]
        write_csv(run.folder / name, ("sentence", "topic"), rows)
    return (*tuned(run, ["animal", "city", "food"]), "task.kind=regression")


def without_head(run: Tiny) -> tuple[str, ...]:
    from transformers import AutoModel

    AutoModel.from_pretrained(run.folder / "teacher").save_pretrained(run.folder / "teacher")
    return ()


def empty_corpus(run: Tiny) -> tuple[str, ...]:
    (run.folder / "corpus.txt").write_text("")
    return ()


def blank_corpus(run: Tiny) -> tuple[str, ...]:
    (run.folder / "corpus.txt").write_text("a\n\nb\n\n")
    return ()


def binary_corpus(run: Tiny) -> tuple[str, ...]:
    (run.folder / "corpus.txt").write_bytes(b"\x00\x01\x02\xff" * 100)
    return ()


def latin_corpus(run: Tiny) -> tuple[str, ...]:
    (run.folder / "corpus.txt").write_bytes("the caf\xe9 near the bridge\n".encode("latin-1") * 9)
    return ()


def one_label(run: Tiny) -> tuple[str, ...]:
    write_csv(run.folder / "train.csv", ("sentence", "topic"), [(text, "city") for text, _ in sentences(9, 1)])
    return ()


def a_label_nobody_trained(run: Tiny) -> tuple[str, ...]:
    write_csv(run.folder / "dev.csv", ("sentence", "topic"), [*sentences(6, 2), ("the quiet river", "river")])
    return ()


def vectors(text: str) -> Change:
    def write(run: Tiny) -> tuple[str, ...]:
        (run.folder / "glove.txt").write_text(text)
        return ("augmentation.vectors.path=glove.txt",)

    return write


def starts(student: int) -> tuple[str, ...]:
    """The student starts from ./own, whose shape it takes."""
    return (f"students.{student}.start=./own", *(f"students.{student}.{key}=null" for key in SHAPE))


def a_start_in_another_shape(run: Tiny) -> tuple[str, ...]:
    save_teacher(run.folder / "own", num_hidden_layers=3)
    return ("students.1.start=./own", "students.1.layers=2", "students.1.hidden=32", "students.1.intermediate=48")


def a_teacher_for_several_labels(run: Tiny) -> tuple[str, ...]:
    path = run.folder / "teacher" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"problem_type": "multi_label_classification"}))
    return ("teacher.finetune=null",)


def a_start_with_another_vocabulary(run: Tiny) -> tuple[str, ...]:
    save_teacher(run.folder / "own", vocab_size=200)
    return starts(0)


def a_start_with_other_words(run: Tiny) -> tuple[str, ...]:
    """As many word pieces as the teacher's, but not the same."""
    save_teacher(run.folder / "own")
    path = run.folder / "own" / "tokenizer.json"
    vocabulary = json.loads(path.read_text())
    pieces = vocabulary["model"]["vocab"]
    (first, last) = list(pieces)[-2:]
    pieces[first], pieces[last] = pieces[last], pieces[first]
    path.write_text(json.dumps(vocabulary))
    return starts(1)


def a_start_with_few_positions(run: Tiny) -> tuple[str, ...]:
    save_teacher(run.folder / "own", max_position_embeddings=16)
    return starts(1)


def pretraining(mode: str, change: Change, **training: int) -> Change:
    def given(run: Tiny) -> tuple[str, ...]:
        return (*change(run), f"pretrain={json.dumps({'mode': mode, 'training': training})}")

    return given


def weights_with_a_hole(run: Tiny) -> tuple[str, ...]:
    path = run.folder / "teacher" / "model.safetensors"
    weights = load_file(path)
    del weights["bert.encoder.layer.0.output.dense.weight"]
    save_file(weights, path, {"format": "pt"})
    return ()


ONE_STUDENT = 'students=[{"name": "distilled", "layers": 1, "hidden": %d, "heads": %d}]'

MISTAKES = {
    "teacher without tokenizer": Mistake(without_tokenizer, ModelError, ("teacher", "no tokenizer", "save")),
    "tokenizer too large": Mistake(with_a_larger_tokenizer, ModelError, ("ids up to", "110 rows", "trained with"), 1),
    "heads that do not fit": Mistake(overrides("students.0.heads=5"), ConfigError, ("16 wide", "5 heads", "15 or 20")),
    "corpus in another vocabulary": Mistake(
        with_a_tokenizer_of_its_own, ModelError, ("90", "110", "corpus.tokenizer"), 1
    ),
    "not an encoder": Mistake(not_an_encoder, ModelError, ("'gpt2'", "not an encoder", "BERT"), 1),
    "config of another model": Mistake(another_models_config, ModelError, ("teacher lacks", "another model's"), 1),
    "damaged weights": Mistake(damaged_weights, ModelError, ("'teacher'",), 1),
    "no such teacher": Mistake(overrides("teacher.model=./techer"), ModelError, ("'./techer'", "check the path")),
    "too few positions": Mistake(few_positions, ModelError, ("16 positions", "corpus.max_length"), 1),
    "too few positions for the task": Mistake(
        few_positions_for_the_task, ModelError, ("20", "16", "task.max_length"), 3
    ),
    "other head count": Mistake(
        overrides(ONE_STUDENT % (18, 6)), ModelError, ("4 attention heads", "'distilled' 6", "multiple of 4"), 1
    ),
    "width not a multiple of the heads": Mistake(
        overrides("students.0.hidden=18"), ModelError, ("18 wide", "4 heads", "16 or 20"), 1
    ),
    "layer map of another length": Mistake(
        overrides("students.0.layer_map=[1, 2]"), ModelError, ("'distilled'", "(1, 2)", "1 student layers"), 1
    ),
    "nothing to imitate": Mistake(
        overrides(*(f"general_distillation.terms.{term}=0" for term in ("embedding", "hidden", "attention"))),
        ModelError,
        ("every weight", "give"),
        1,
    ),
    "corpus smaller than a batch": Mistake(
        overrides("general_distillation.training.batch_size=512"),
        DataError,
        ("fewer than one batch of 512", "batch_size"),
        1,
    ),
    "teacher of other labels": Mistake(
        tuned_on_other_labels, ModelError, ("'beast'", "'animal'", "task.label_names"), 3
    ),
    "teacher of nameless labels": Mistake(tuned_with_nameless_labels, ModelError, ("'LABEL_0'", "cannot be known"), 3),
    "teacher of classes for a score": Mistake(
        tuned_for_classes_on_a_score, ModelError, ("3 outputs", "teacher.finetune"), 3
    ),
    "teacher never tuned": Mistake(
        overrides("teacher.finetune=null"), ModelError, ("not fine-tuned", "teacher.finetune"), 3
    ),
    "no masked-LM head": Mistake(without_head, ModelError, ("no masked-LM head", "mlm_head"), 4),
    "neither masked LM nor vectors": Mistake(
        overrides("augmentation.mlm=null"), ConfigError, ("augmentation.mlm", "augmentation.vectors", "name")
    ),
    "ragged vectors": Mistake(vectors("otter 1 2 3\nheron 1 2\n"), DataError, ("line 2", "2 numbers", "3"), 4),
    "empty corpus": Mistake(empty_corpus, DataError, ("corpus.txt", "0 bytes", "remove")),
    "nothing left of the corpus": Mistake(blank_corpus, DataError, ("nothing is left", "min_words")),
    "binary corpus": Mistake(binary_corpus, DataError, ("corpus.txt",)),
    "corpus that is not UTF-8": Mistake(latin_corpus, DataError, ("corpus.txt", "UTF-8")),
    "no such corpus": Mistake(overrides('corpus.paths=["*.text"]'), DataError, ("*.text", "check the path")),
    "no such training file": Mistake(overrides("task.train=trian.csv"), DataError, ("trian.csv", "task.train")),
    "no such column": Mistake(overrides("task.text=sentense"), DataError, ("'sentense'", "did you mean 'sentence'"), 2),
    "one label": Mistake(one_label, DataError, ("'city'", "two labels"), 2),
    "a dev label nobody trained": Mistake(a_label_nobody_trained, DataError, ("dev.csv:8", "'river'"), 2),
    "more rows than there are": Mistake(overrides("task.train_rows=90"), DataError, ("90", "48"), 2),
    "a teacher for several labels": Mistake(
        a_teacher_for_several_labels, ModelError, ("./teacher", "multi_label_classification", "teacher.finetune"), 0
    ),
    "a start in another shape": Mistake(
        a_start_in_another_shape, ModelError, ("'random-start' has layers 2", "./own, which has layers 3"), 0
    ),
    "a start in another vocabulary": Mistake(
        a_start_with_another_vocabulary, ModelError, ("'distilled'", "200", "110"), 6
    ),
    "a start with other words": Mistake(
        a_start_with_other_words,
        ModelError,
        ("'random-start'", "own", "vocabulary (110", "of the teacher (110", "start from"),
        7,
    ),
    "a start with few positions": Mistake(a_start_with_few_positions, ModelError, ("20", "16", "task.max_length"), 7),
    "a start with few positions, without phase one": Mistake(
        lambda run: (*a_start_with_few_positions(run), "phases.intermediate=null"),
        ModelError,
        ("20", "16", "task.max_length"),
        7,
    ),
    "pretraining on damaged weights": Mistake(
        pretraining("continue", damaged_weights, batch_size=8, max_tokens=400),
        ModelError,
        ("'teacher'", "cannot load"),
        1,
    ),
    "pretraining on weights with a hole": Mistake(
        pretraining("mlm_head", weights_with_a_hole, batch_size=8, max_tokens=400),
        ModelError,
        ("lacks 1", "output.dense.weight"),
        1,
    ),
    "pretraining on less than a batch of sequences": Mistake(
        overrides("pretrain={mode: continue, training: {batch_size: 512, max_tokens: null}}"),
        DataError,
        ("sequences, fewer than one batch of 512", "pretrain.training.batch_size"),
        1,
    ),
    "pretraining on less than a batch of word pieces": Mistake(
        overrides("pretrain={mode: continue}"),
        DataError,
        ("word pieces, fewer than one batch of 8192", "pretrain.training.max_tokens"),
        1,
    ),
    "a student named like a row of the results": Mistake(
        overrides("students.0.name=teacher"), ConfigError, ("'teacher'", "rename")
    ),
    "nothing to run": Mistake(
        overrides("task=null", "corpus=null", "general_distillation=null", "students.0.start=random"),
        ConfigError,
        ("no corpus and no task", "set corpus.paths"),
    ),
    "a store below a file": Mistake(
        overrides("runtime.store=corpus.txt/store"), StoreError, ("corpus.txt", "runtime.store")
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_and_leaves_what_was_finished(tmp_path: Path, mistake: Mistake) -> None:
    run = tiny(tmp_path)
    given = mistake.change(run)
    with pytest.raises(mistake.error) as caught:
        run.run(*given)
    line = str(caught.value)
    assert type(caught.value).exit_code == mistake.error.exit_code
    assert "\n" not in line
    assert [part for part in mistake.said if part not in line] == [], line
    stages = (
        [stage for stage in STAGES if stage in {built.name for built in run.stages(*given)}] if mistake.done else []
    )
    assert run.versions() == {stage: [1] for stage in stages[: mistake.done]}
    assert not [line for artifact in run.store.list() for line in run.store.verify(artifact)]
