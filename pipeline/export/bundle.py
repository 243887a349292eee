"""A bundle is a folder that answers questions by itself: ONNX files, a tokenizer, and ``bundle.json``.

The layout is the one that Text Embeddings Inference, transformers.js and Optimum look for::

    config.json  tokenizer.json  tokenizer_config.json  model.safetensors
    onnx/model.onnx  onnx/model_quantized.onnx
    README.md           how to ask it, and how other servers take it
    bundle.json         what the model is for, what was measured, size and SHA-256 of every file

Whoever opens a bundle needs neither torch nor transformers. A file that is not the one that was measured is refused.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from pipeline.config.base import Config
from pipeline.errors import ModelError

BUNDLE, README = "bundle.json", "README.md"
FLOAT32, INT8 = "float32", "int8"
FILES: Mapping[str, str] = {FLOAT32: "onnx/model.onnx", INT8: "onnx/model_quantized.onnx"}
COPIED = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")
AGAIN = "export it again (tinybert export)"


class Parity(Config):
    """How near an ONNX file is to the model it was made from, on the task's dev rows.

    Attributes:
        rows: dev rows that were compared.
        largest_logit_difference: over all rows and outputs, dimensionless.
        equal_labels: share of rows with the same label, 0 to 1; None for a regression.
        correlation: Pearson's, between the scores of a regression; None for classes.
        metric: the task's main metric.
        model_score: the metric of the model, in torch.
        score: the metric of the ONNX file.
        difference: score minus model_score, with its paired 95% bootstrap interval: (difference, low, high).
    """

    rows: int
    largest_logit_difference: float
    equal_labels: float | None
    correlation: float | None
    metric: str
    model_score: float
    score: float
    difference: tuple[float, float, float]


class FileRecord(Config):
    """One file of the bundle: size in bytes, and content."""

    size: int
    sha256: str


class Bundle(Config):
    """What ``bundle.json`` says.

    Attributes:
        name: the student's.
        task: what is predicted.
        kind: whether it answers with a class or with a number.
        labels: names of the outputs, in the order of the logits.
        pair: the model reads two texts.
        max_length: word pieces a row; what is longer is cut.
        inputs: names of the ONNX inputs, each (rows, word pieces), int64.
        pad_id: word piece that fills short rows.
        opset: of the ONNX files.
        relu_logits: logits are classifier(relu(pooled)); the ONNX files do so, the safetensors file does not show it.
        parity: variant -> its measured parity; a variant that is not here has no file.
        refused: variant -> why it was left out.
        files: name -> size and content.
    """

    schema_version: Literal[1] = 1
    name: str
    task: str
    kind: Literal["classification", "regression"]
    labels: tuple[str, ...]
    pair: bool
    max_length: int
    inputs: tuple[str, ...]
    pad_id: int
    opset: int
    relu_logits: bool
    parity: dict[str, Parity]
    refused: dict[str, str]
    files: dict[str, FileRecord]


@dataclass(frozen=True)
class OpenBundle:
    """A bundle on disk.

    Args:
        folder: where it lies.
        facts: what its ``bundle.json`` says.
    """

    folder: Path
    facts: Bundle

    def file(self, name: str) -> Path:
        """Path of a file, after comparing its content with the record.

        Raises:
            ModelError: the bundle has no such file, or it is not the one that was exported.
        """
        record, path = self.facts.files.get(name), self.folder / name
        if record is None:
            raise ModelError(f"{self.folder} has no {name}: {AGAIN}")
        try:
            found = record_file(path)
        except OSError as error:
            raise ModelError(f"{path} cannot be read ({error.strerror}): {AGAIN}") from error
        if found != record:
            raise ModelError(
                f"{path} is not the file that was exported and measured (SHA-256 {found.sha256[:12]} instead of "
                f"{record.sha256[:12]}): {AGAIN}"
            )
        return path

    def variant(self, name: str) -> Path:
        """Path of the ONNX file of a variant, its content compared with the record.

        Raises:
            ModelError: the bundle has no such variant; says which it has, and why this one was left out.
        """
        if name not in self.facts.parity:
            reason = self.facts.refused.get(name)
            why = f" ({reason})" if reason else ""
            raise ModelError(f"{self.folder} has no variant {name!r}{why}: choose {' or '.join(self.facts.parity)}")
        return self.file(FILES[name])


def record_file(path: Path) -> FileRecord:
    """Size and content of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileRecord(size=path.stat().st_size, sha256=digest)


def record_files(folder: Path, names: Iterable[str]) -> dict[str, FileRecord]:
    """Name -> size and content, of files in a folder."""
    return {name: record_file(folder / name) for name in names}


def write_bundle(folder: Path, bundle: Bundle) -> None:
    """Write ``bundle.json``; the same bundle gives the same bytes."""
    text = json.dumps(bundle.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
    (folder / BUNDLE).write_text(text, encoding="utf-8")


def is_bundle(folder: Path) -> bool:
    """Whether a folder holds a bundle."""
    return (folder / BUNDLE).is_file()


def open_bundle(folder: Path) -> OpenBundle:
    """The bundle in a folder; no other file is read yet.

    Raises:
        ModelError: there is none, or it is of another version.
    """
    try:
        facts = Bundle.model_validate_json((folder / BUNDLE).read_bytes())
    except OSError as error:
        raise ModelError(f"{folder} holds no {BUNDLE} ({error.strerror}): make one with tinybert export") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ModelError(f"{folder / BUNDLE} cannot be used ({place}: {first['msg']}): {AGAIN}") from error
    return OpenBundle(folder, facts)
