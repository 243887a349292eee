"""Projections of a student's terms, carried from stage to stage: they are a part of training, not of the model."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pipeline.engine.learner import Learner

FOLDER = "projections"


def save_projections(learners: Mapping[str, Learner], artifact: Path) -> None:
    """Keep the projections of each learner's terms with an artifact, by student and term.

    Args:
        learners: by the name of the student.
        artifact: folder that becomes the artifact.
    """
    for name, learner in learners.items():
        write_projections(artifact, name, {term: layer.weight for term, layer in _projections(learner).items()})


def write_projections(artifact: Path, student: str, weights: Mapping[str, Tensor]) -> None:
    """Write a student's projections, each (teacher width, student width); nothing where there are none."""
    if weights:
        (artifact / FOLDER).mkdir(exist_ok=True)
        kept = {term: weight.detach().cpu().contiguous().clone() for term, weight in weights.items()}
        save_file(kept, artifact / FOLDER / f"{student}.safetensors")


def load_projections(learners: Mapping[str, Learner], artifact: Path) -> None:
    """Let terms go on with the projections that an earlier stage ended with, where it has any of their name.

    A projection of another shape is of another teacher, or of another student of that name: it is left alone.

    Args:
        learners: by the name of the student; changed in place.
        artifact: of the earlier stage.
    """
    for name, learner in learners.items():
        path = artifact / FOLDER / f"{name}.safetensors"
        found = load_file(path) if path.is_file() else {}
        with torch.no_grad():
            for term, layer in _projections(learner).items():
                if term in found and found[term].shape == layer.weight.shape:
                    layer.weight.copy_(found[term])


def _projections(learner: Learner) -> dict[str, nn.Linear]:
    """The projections of a learner's terms, by term; one that two terms share stands under its last name alone."""
    found: dict[nn.Linear, str] = {}
    for name, term in learner.objective.terms.items():
        layer = getattr(term, "projection", None)
        if isinstance(layer, nn.Linear):
            found[layer] = name
    return {name: layer for layer, name in found.items()}
