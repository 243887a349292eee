"""Pretrain a masked language model on the corpus: from scratch, continued, or only a head on a frozen encoder."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from pipeline.config.models import PretrainConfig
from pipeline.config.precision import Precision
from pipeline.data.tokens.masking import mask_tokens
from pipeline.data.tokens.table import TokenTable
from pipeline.data.tokens.tokenizer import check_vocabulary, load_tokenizer
from pipeline.engine.compatibility import check_one_batch, check_positions, check_same_vocabulary, longest_row
from pipeline.engine.inputs import model_input
from pipeline.engine.learner import Learner
from pipeline.engine.objectives import masked_words
from pipeline.engine.rows import plan
from pipeline.engine.run_training import run_training
from pipeline.models.load import load_masked_lm, save_model
from pipeline.models.mlm import build_masked_lm
from pipeline.models.students import set_dropout
from pipeline.store.stage import StageRun
from pipeline.training.loop import Training


def run(run: StageRun, *, pretrain: PretrainConfig, precision: Precision, seed: int) -> None:
    """Train the masked language model.

    Args:
        run: this stage's execution; input ``corpus``, and ``encoder`` unless it trains from scratch.
        pretrain: mode, shape, masking and training.
        precision: precision of the training.
        seed: seed of the weights, the masks and the order of the rows.
    """
    tokenizer = load_tokenizer(str(run.artifact("corpus") / "tokenizer"))
    model = _model(run, pretrain, tokenizer, seed)
    check_vocabulary(tokenizer, model.config.vocab_size)
    set_dropout(model, pretrain.dropout)
    table = TokenTable.open(run.artifact("corpus") / "tokens")
    longest = int(table.lengths.max())
    check_positions(model, longest, "corpus.max_length")
    batches = plan(table.lengths, pretrain.training, seed=seed, max_length=longest)
    check_one_batch(batches, "pretrain")
    special = np.array(sorted(tokenizer.all_special_ids))

    def read(rows: NDArray[np.int64], step: int) -> dict[str, torch.Tensor]:
        arrays = table.rows(rows, pad_id=tokenizer.pad_token_id, pad_to=batches.pad_to)
        masked, labels = mask_tokens(
            arrays["input_ids"],
            arrays["attention_mask"] & ~np.isin(arrays["input_ids"], special),
            probability=pretrain.mask_probability,
            mask_id=tokenizer.mask_token_id,
            vocab_size=len(tokenizer),
            key=(seed, step),
        )
        arrays |= {"input_ids": masked, "labels": labels}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    learner = Learner(model, masked_words(), frozen_encoder=pretrain.mode == "mlm_head")
    histories = run_training(
        Training({"mlm": learner}, batches, read), pretrain.training, run, seed=seed, precision=precision
    )
    save_model(model, tokenizer, run.output / "model", max_length=longest_row(model, tokenizer))
    run.record(
        parameters=sum(p.numel() for p in model.parameters()),
        first_loss=histories["mlm"].curve[0]["loss"],
        last_loss=histories["mlm"].curve[-1]["loss"],
    )


def _model(run: StageRun, pretrain: PretrainConfig, tokenizer: Any, seed: int) -> PreTrainedModel:
    torch.manual_seed(seed)
    shape = pretrain.architecture
    if shape is None:
        source = model_input(run, "encoder")
        model = load_masked_lm(source, new_head=True)
        check_same_vocabulary(tokenizer, source)
        return model
    return build_masked_lm(
        shape,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        max_length=pretrain.max_length,
    )
