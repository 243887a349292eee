"""Stage ``pretrain``: a masked language model on the corpus.

From nothing, continued from an encoder, or only a head fitted to an encoder that stays as it is.
"""

from typing import TYPE_CHECKING, Any

from pipeline.config.base import Config
from pipeline.config.models import PretrainConfig
from pipeline.config.precision import Precision
from pipeline.config.run import RunConfig
from pipeline.engine.compatibility import check_one_batch, check_positions, check_same_vocabulary, longest_row
from pipeline.engine.inputs import model_input, model_source
from pipeline.engine.precision import teacher_precision
from pipeline.engine.run_training import fit
from pipeline.errors import ConfigError
from pipeline.stages.checks import Check, loads, reads_corpus, shares_vocabulary, trains
from pipeline.store.stage import Stage, StageRun

if TYPE_CHECKING:
    from transformers import PreTrainedModel


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
    return Stage("pretrain", 4, settings, inputs, _run, parallel=True)


def checks(config: RunConfig) -> tuple[Check, ...]:
    """What shows before pretraining: a device, an encoder to begin with, of the corpus's words and lengths."""
    if config.pretrain is None:
        return ()
    return (*trains(config.runtime), *loads(config.teacher.model), shares_vocabulary, reads_corpus)


def _run(config: PretrainStage, run: StageRun) -> None:
    import numpy as np
    import torch

    from pipeline.data.tokens.masking import mask_tokens
    from pipeline.data.tokens.table import TokenTable
    from pipeline.data.tokens.tokenizer import check_vocabulary, load_tokenizer
    from pipeline.engine.learner import Learner
    from pipeline.engine.objectives import masked_words
    from pipeline.engine.rows import plan
    from pipeline.models.load import save_model
    from pipeline.models.students import set_dropout
    from pipeline.training.loop import Training

    tokenizer = load_tokenizer(str(run.artifact("corpus") / "tokenizer"))
    model = _model(config, run, tokenizer)
    check_vocabulary(tokenizer, model.config.vocab_size)
    set_dropout(model, config.pretrain.dropout)
    table = TokenTable.open(run.artifact("corpus") / "tokens")
    longest = int(table.lengths.max())
    check_positions(model, longest, "corpus.max_length")
    training = config.pretrain.training
    batches = plan(table.lengths, training, seed=config.seed, max_length=longest)
    check_one_batch(batches, "pretrain")
    special = np.array(sorted(tokenizer.all_special_ids))

    def read(rows: Any, step: int) -> dict[str, torch.Tensor]:
        arrays = table.rows(rows, pad_id=tokenizer.pad_token_id, pad_to=batches.pad_to)
        masked, labels = mask_tokens(
            arrays["input_ids"],
            arrays["attention_mask"] & ~np.isin(arrays["input_ids"], special),
            probability=config.pretrain.mask_probability,
            mask_id=tokenizer.mask_token_id,
            vocab_size=len(tokenizer),
            key=(config.seed, step),
        )
        arrays |= {"input_ids": masked, "labels": labels}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    learner = Learner(model, masked_words(), frozen_encoder=config.pretrain.mode == "mlm_head")
    histories = fit(
        Training({"mlm": learner}, batches, read), training, run, seed=config.seed, precision=config.precision
    )
    save_model(model, tokenizer, run.output / "model", max_length=longest_row(model, tokenizer))
    run.record(
        parameters=sum(p.numel() for p in model.parameters()),
        first_loss=histories["mlm"].curve[0]["loss"],
        last_loss=histories["mlm"].curve[-1]["loss"],
    )


def _model(config: PretrainStage, run: StageRun, tokenizer: Any) -> "PreTrainedModel":
    import torch

    from pipeline.models.load import load_masked_lm
    from pipeline.models.mlm import build_masked_lm

    torch.manual_seed(config.seed)
    shape = config.pretrain.architecture
    if shape is None:
        source = model_input(run, "encoder")
        model = load_masked_lm(source, new_head=True)
        check_same_vocabulary(tokenizer, source)
        return model
    return build_masked_lm(
        shape,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        max_length=config.pretrain.max_length,
    )
