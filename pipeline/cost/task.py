"""What the task's stages will cost before students learn: the teacher, and its logits."""

from pathlib import Path

from pipeline.cost.arithmetic import StageCost, linear
from pipeline.cost.augmentation import look_at_variants
from pipeline.cost.scene import Scene
from pipeline.cost.task_rows import SMALLER, TaskRows, inference_tokens
from pipeline.cost.training import small, train_cost
from pipeline.data.tokens.table import TokenTable
from pipeline.engine.variant_quality import SAMPLE, SAMPLE_TOKENS
from pipeline.store.artifact import load_artifact


def teacher_cost(scene: Scene, found: TaskRows) -> StageCost:
    """What the teacher will cost: fine-tuning it, or only scoring it."""
    stage = scene.stages["teacher"]
    if stage.config.finetune is not None:
        return train_cost(
            "teacher",
            scene,
            small("teacher", scene, found.there["train"], found.max_length),
            here=found.here["train"],
            there=found.there["train"],
            rows=found.rows["train"],
            max_length=found.max_length,
            more_seconds=found.reading_seconds("train", "dev"),
            task_data=found.folder,
        )
    less, more = (scene.rehearse("teacher", stage.config, task_data=folder) for folder in (found.smaller, found.folder))
    scene.artifacts["teacher"] = more.folder
    return StageCost(
        "teacher",
        scene.action("teacher"),
        seconds=dev_seconds(found, less.seconds, more.seconds),
        disk_bytes=more.output_bytes,
        peak_bytes=more.peak_bytes,
        basis=f"{found.rows['dev']:,} dev rows, {len(found.here['dev']):,} timed",
    )


def dev_seconds(found: TaskRows, less: float, more: float) -> float:
    """Seconds of a stage that reads the dev rows, from those of both numbers of them."""
    here = found.here["dev"]
    few = inference_tokens(here, max(1, len(here) // SMALLER))
    tokens, real = found.dev_tokens()
    return linear((less, few), (more, tokens), real)


def logits_cost(scene: Scene, found: TaskRows) -> StageCost:
    """What the teacher's logits will cost; later stages of the rehearsal read those of the rows made small."""
    if "augmentation" in scene.artifacts and not scene.wanted("augmentation"):
        found.variants = load_artifact(scene.artifacts["augmentation"]).manifest.metrics["variants"]
        look_at_variants(scene, found)
    config = scene.stages["teacher_logits"].config
    less, more = (
        scene.rehearse("teacher_logits", config, task_data=folder, augmentation=None, mlm=None)
        for folder in (found.smaller, found.folder)
    )
    scene.artifacts["teacher_logits"] = more.folder
    tokens = float(found.transfer_there().mean()) * found.transfer_rows
    few, many = ((done.seconds, _computed(done.folder / "tokens")) for done in (less, more))
    return StageCost(
        "teacher_logits",
        scene.action("teacher_logits"),
        seconds=linear(few, many, inference_tokens(found.transfer_there(), found.transfer_rows))
        + _sample_seconds(scene, found),
        disk_bytes=more.output_bytes * tokens / more.metrics["tokens"],
        peak_bytes=more.peak_bytes,
        basis=f"{tokens:,.0f} word pieces, {more.metrics['tokens']:,} timed",
    )


def _sample_seconds(scene: Scene, found: TaskRows) -> float:
    """Of asking the masked LM how strange some variants look, were it as fast as the teacher."""
    if "mlm" not in scene.stages["teacher_logits"].inputs:
        return 0.0
    tokens = 2 * min(SAMPLE, found.variants) * float(found.there["train"].mean()) ** 2
    return min(SAMPLE_TOKENS, tokens) * scene.forward_seconds


def _computed(folder: Path) -> float:
    """Tokens that a model computes to read a token table."""
    lengths = TokenTable.open(folder).lengths
    return inference_tokens(lengths, len(lengths))
