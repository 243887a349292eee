"""Pretraining pads its batches as far as its configuration says."""

import json
from pathlib import Path

import pytest
from tiny_run import tiny

from pipeline.data.tokens.table import TokenTable


def test_pretraining_pads_as_far_as_it_is_told_to(tmp_path: Path) -> None:
    """The share of real tokens in what was computed says how wide the batches were."""
    run = tiny(tmp_path)
    found = {}
    for padding in ("longest", "max_length"):
        training = {"epochs": 1, "batch_size": 2, "max_tokens": None, "padding": padding}
        section = json.dumps({"mode": "continue", "training": training})
        made = run.run(f"pretrain={section}", until="pretrain")["pretrain"].artifact
        found[padding] = made.metrics["training_speed"]["padding_efficiency"]
    lengths = TokenTable.open(run.path("corpus") / "tokens").lengths
    assert found["max_length"] == pytest.approx(lengths.mean() / lengths.max(), abs=1e-3)
    assert found["longest"] > found["max_length"]
