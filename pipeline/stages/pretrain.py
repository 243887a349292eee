"""Stage ``pretrain``: a masked language model on the corpus.

From nothing, continued from an encoder, or only a head fitted to an encoder that stays as it is.
"""

from typing import Any

from pipeline.checks.checks import Check, loads, reads_corpus, shares_vocabulary, trains
from pipeline.config.base import Config
from pipeline.config.models import PretrainConfig
from pipeline.config.precision import Precision
from pipeline.config.run import RunConfig
from pipeline.engine.inputs import model_source
from pipeline.engine.precision import teacher_precision
from pipeline.errors import ConfigError
from pipeline.store.entry import entry
from pipeline.store.stage import Stage


class PretrainStage(Config):
    """What pretraining depends on beside its corpus and encoder."""

    pretrain: PretrainConfig
    precision: Precision
    seed: int


def pretrain(config: RunConfig, corpus: Stage[Any]) -> Stage[PretrainStage]:
    """Masked-LM training on the run's corpus."""
    if config.pretrain is None:
        raise ConfigError("there is no pretraining in this configuration: add a pretrain section")
    inputs: dict[str, Any] = {"corpus": corpus}
    if config.teacher.model:
        inputs["encoder"] = model_source(config.teacher.model, config.teacher.revision)
    settings = PretrainStage(pretrain=config.pretrain, precision=teacher_precision(config), seed=config.seed)
    return Stage(
        "pretrain", 4, settings, inputs, entry("pipeline.engine.pretrain"), parallel=True, cost="pipeline.cost.training"
    )


def checks(config: RunConfig) -> tuple[Check, ...]:
    """What shows before pretraining: a device, an encoder to begin with, of the corpus's words and lengths."""
    if config.pretrain is None:
        return ()
    return (*trains(config.runtime), *loads(config.teacher.model), shares_vocabulary, reads_corpus)
