"""Where a run's pretrained teacher comes from: the pretraining stage, or outside the store."""

from typing import Any

from pipeline.config.run import RunConfig
from pipeline.engine.inputs import model_source
from pipeline.store.source import Source
from pipeline.store.stage import Stage


def pretrained_teacher(config: RunConfig, pretrain: Stage[Any] | None) -> Stage[Any] | Source:
    """The encoder to fine-tune and to imitate in general distillation."""
    if config.pretrain is not None and config.pretrain.mode != "mlm_head":
        assert pretrain is not None  # noqa: S101 - the recipe builds it whenever it is configured
        return pretrain
    return model_source(config.teacher.model or "", config.teacher.revision)


def masked_lm(config: RunConfig, pretrain: Stage[Any] | None) -> Stage[Any] | Source | None:
    """The masked LM that proposes substitutions; None when neighbours propose every word."""
    wanted = config.augmentation.mlm if config.augmentation else None
    if wanted is None:
        return None
    if wanted != "teacher":
        return model_source(wanted)
    if pretrain is not None:
        return pretrain
    return pretrained_teacher(config, None)
