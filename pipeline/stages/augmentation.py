"""Stage ``augmentation``: variants of the task's rows by word substitution."""

from typing import Any

from pipeline.config.augmentation import AugmentationConfig
from pipeline.config.base import Config
from pipeline.config.builtin import home_path
from pipeline.config.run import RunConfig
from pipeline.errors import ConfigError
from pipeline.stages.engine import device
from pipeline.stages.inputs import model_input
from pipeline.stages.teacher_input import masked_lm, pretrained_teacher
from pipeline.store.source import Source
from pipeline.store.stage import Stage, StageRun


class AugmentationStage(Config):
    """What the variants depend on beside the rows, the masked LM and the vectors."""

    augmentation: AugmentationConfig
    seed: int


def augmentation(config: RunConfig, task_data: Stage[Any], pretrain: Stage[Any] | None) -> Stage[AugmentationStage]:
    """Variants of the task's training rows."""
    wanted = config.augmentation
    if wanted is None:
        raise ConfigError("there is no augmentation in this configuration: add an augmentation section")
    mlm, vectors = masked_lm(config, pretrain), wanted.vectors
    inputs: dict[str, Any] = {"task_data": task_data}
    if mlm is not None:
        inputs["mlm"] = mlm
    elif vectors is None or not vectors.path:
        raise ConfigError("augmentation.mlm and augmentation.vectors are both empty: name a masked LM or vectors")
    else:
        inputs["tokenizer"] = pretrained_teacher(config, pretrain)
    if vectors is not None and vectors.path:
        inputs["vectors"] = Source(paths=(str(home_path(vectors.path)),))
        vectors = vectors.model_copy(update={"path": "file"})
    identity = wanted.model_copy(update={"mlm": wanted.mlm and "model", "vectors": vectors})
    return Stage("augmentation", 1, AugmentationStage(augmentation=identity, seed=config.seed), inputs, _run)


def _run(config: AugmentationStage, run: StageRun) -> None:
    import pyarrow as pa

    from pipeline.augmentation.build import build_variants
    from pipeline.augmentation.glove import load_glove
    from pipeline.augmentation.masked_lm import MaskedLM
    from pipeline.augmentation.vectors import from_input_embeddings
    from pipeline.data.task_table import load_task
    from pipeline.data.tokenizer import load_tokenizer
    from pipeline.models.load import load_masked_lm
    from pipeline.models.mlm import mlm_head

    task = load_task(run.artifact("task_data"))
    mlm, vectors = None, None
    source = model_input(run, "mlm" if run.has("mlm") else "tokenizer")
    tokenizer = load_tokenizer(source.location, source.revision)
    if run.has("mlm"):
        model = load_masked_lm(source)
        mlm = MaskedLM(
            model,
            tokenizer,
            head=mlm_head(model),
            context=config.augmentation.context,
            device=device(run.runtime),
        )
        vectors = from_input_embeddings(model, tokenizer)
    if run.has("vectors"):
        wanted = config.augmentation.vectors
        vectors = load_glove(str(run.paths("vectors")[0]), wanted.max_words if wanted else None)
    columns = [name for name in ("row_id", "text", "text_pair") if name in task.splits["train"].column_names]
    splits = ["train", "unlabelled"] if config.augmentation.unlabelled else ["train"]
    rows = pa.concat_tables([task.splits[split].select(columns) for split in splits if split in task.splits])
    statistics = build_variants(
        rows,
        mlm,
        tokenizer,
        vectors,
        config=config.augmentation,
        seed=config.seed,
        output=run.output,
        scratch=run.scratch,
        progress=run.progress,
    )
    run.record(**statistics, zero_vectors=0 if vectors is None else vectors.num_zero)
