from itertools import pairwise, permutations

import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from pipeline.errors import ModelError
from pipeline.evaluation.latency import ENOUGH_SECONDS, WARM_UP, longest_input, measure_latency, rounds_for

SHAPE = {
    "vocab_size": 60,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


def bert(positions=40):
    return BertForSequenceClassification(BertConfig(**SHAPE, max_position_embeddings=positions))


class Recorder(nn.Module):
    """Writes down that it was called, in what mode, with what."""

    def __init__(self, name, log):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.name, self.log = name, log

    def forward(self, input_ids, attention_mask):
        assert torch.is_inference_mode_enabled()
        assert not self.training
        assert attention_mask.all()
        self.log.append((self.name, tuple(input_ids.shape), input_ids.sum().item()))


def test_every_model_is_timed_at_every_length_and_batch():
    rows = measure_latency({"a": bert(), "b": bert()}, (4, 8), (1, 3), 60, seed=0, rounds=(3, 3))
    assert [(row["length"], row["batch"], row["model"]) for row in rows] == [
        (length, batch, name) for length in (4, 8) for batch in (1, 3) for name in "ab"
    ]
    assert all(0 < row["milliseconds"] <= row["median"] <= row["p90"] for row in rows)
    assert {row["rounds"] for row in rows} == {3}


def test_models_take_turns_on_the_same_words():
    log = []
    models = {name: Recorder(name, log) for name in "abc"}
    measure_latency(models, (5,), (2,), 60, seed=1, rounds=(12, 12))
    rounds = [log[start : start + 3] for start in range(0, len(log), 3)]
    assert len(rounds) == WARM_UP + 12
    assert all(sorted(name for name, _, _ in turn) == ["a", "b", "c"] for turn in rounds)
    names = [name for name, _, _ in log]
    before = {(first, second) for first, second in pairwise(names) if first != second}
    assert before == set(permutations("abc", 2)), "nobody always comes after the same one"
    assert len({(shape, total) for _, shape, total in log}) == 1
    assert log[0][1] == (2, 5)


def test_a_length_beyond_the_positions_is_left_out_for_that_model_only():
    rows = measure_latency({"short": bert(6), "long": bert(40)}, (6, 7), (1,), 60, seed=0, rounds=(1, 1))
    assert [(row["model"], row["length"]) for row in rows] == [("short", 6), ("long", 6), ("long", 7)]
    assert measure_latency({"short": bert(6)}, (9,), (1,), 60, seed=0, rounds=(1, 1)) == []


def test_roberta_has_fewer_places_than_positions():
    model = RobertaForSequenceClassification(RobertaConfig(**SHAPE, max_position_embeddings=12, pad_token_id=1))
    assert longest_input(model) == 10
    assert [row["length"] for row in measure_latency({"r": model}, (10, 11), (1,), 60, seed=0, rounds=(1, 1))] == [10]


def test_the_training_mode_is_put_back():
    training, evaluating = bert().train(), bert().eval()
    measure_latency({"t": training, "e": evaluating}, (4,), (1,), 60, seed=0, rounds=(1, 1))
    assert training.training
    assert not evaluating.training


def test_a_vocabulary_too_large_is_named():
    with pytest.raises(ModelError, match="a knows 60 word pieces, latency asks for 61"):
        measure_latency({"a": bert()}, (4,), (1,), 61, seed=0, rounds=(1, 1))


def test_short_passes_are_timed_more_often():
    assert rounds_for(0.0, (20, 50)) == 50
    assert rounds_for(ENOUGH_SECONDS / 30, (20, 50)) == 30
    assert rounds_for(60.0, (20, 50)) == 20


def test_models_are_compared_with_the_one_that_is_named():
    rows = measure_latency({"a": bert(6), "b": bert()}, (4, 7), (1,), 60, seed=0, rounds=(3, 3), against="a")
    assert [(row["model"], row["length"], row["speed"] is None) for row in rows] == [
        ("a", 4, True),
        ("b", 4, False),
        ("b", 7, True),  # the other cannot read so much
    ]
