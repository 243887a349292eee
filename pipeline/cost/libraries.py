"""What the stages of a run import when they begin, imported before the first of them: none is timed with it."""

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from pipeline.store.entry import Entry
from pipeline.store.stage import Stage

TRAINING = ("pipeline.training.loop", "pipeline.engine.learner", "pipeline.engine.inference")
LIBRARIES = {  # of the stages that name no module of their work
    **dict.fromkeys(("pretrain", "general_distillation", "intermediate"), TRAINING[:2]),
    **dict.fromkeys(("teacher", "prediction", "label_only"), TRAINING),
    "teacher_logits": ("pipeline.engine.inference", "pipeline.models.load"),
}


def load_libraries(stages: Iterable[Stage[Any]]) -> None:
    """Import what does the work of these stages."""
    for stage in stages:
        modules = (stage.run.module,) if isinstance(stage.run, Entry) else LIBRARIES[stage.name]
        for module in modules:
            import_module(module)
