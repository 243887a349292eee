"""Pseudo-perplexity, against one forward pass a piece, written out."""

import math

import pytest
import torch

from pipeline.augmentation.variants import pseudo_perplexity as module
from pipeline.augmentation.variants.pseudo_perplexity import (
    Likelihood,
    affordable,
    pseudo_log_likelihoods,
    pseudo_perplexity,
)
from pipeline.models.mlm import mlm_head


def literally(text, model, tokenizer, most=10_000):
    """One masked sentence at a time, through the whole model, framed by the tokenizer itself."""
    encoded = tokenizer(text, truncation=True, max_length=most, return_special_tokens_mask=True)
    total, pieces = 0.0, 0
    for place, (token, special) in enumerate(zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True)):
        if special:
            continue
        ids = torch.tensor([encoded["input_ids"]])
        ids[0, place] = tokenizer.mask_token_id
        with torch.inference_mode():
            total += model(input_ids=ids).logits[0, place].log_softmax(-1)[token].item()
        pieces += 1
    return total, pieces


@pytest.mark.parametrize(
    ("kind", "pieces"),
    [("bert", "wordpiece"), ("electra", "wordpiece"), ("distilbert", "wordpiece"), ("roberta", "byte_level")],
)
def test_it_is_the_sum_over_the_pieces_each_hidden_in_turn(request, sentences, monkeypatch, kind, pieces):
    monkeypatch.setattr(module, "BATCH_TOKENS", 64)  # several batches of some lengths
    model, tokenizer = request.getfixturevalue(kind).eval(), request.getfixturevalue(pieces)
    texts = [*sentences, "", "dog", sentences[0]]
    found = pseudo_log_likelihoods(texts, model, tokenizer, head=mlm_head(model))
    for text, likelihood in zip(texts, found, strict=True):
        total, count = literally(text, model, tokenizer)
        assert likelihood.pieces == count
        assert likelihood.total == pytest.approx(total, rel=1e-4, abs=1e-4)
    assert found[0] == found[-1]
    assert found[-3] == (0.0, 0)


def test_a_long_text_is_read_as_far_as_the_model_sees(bert, wordpiece):
    (found,) = pseudo_log_likelihoods(["fox dog " * 100], bert.eval(), wordpiece, head=mlm_head(bert))
    assert found.pieces == 62  # of 64 positions
    total, _ = literally("fox dog " * 100, bert, wordpiece, most=64)
    assert found.total == pytest.approx(total, rel=1e-4)


def test_a_model_that_knows_nothing_is_as_perplexed_as_its_vocabulary_is_large(bert, wordpiece, sentences):
    found = pseudo_log_likelihoods(sentences, bert.eval(), wordpiece, head=lambda rows: torch.zeros(len(rows), 321))
    assert pseudo_perplexity(found) == pytest.approx(321, rel=1e-4)


def test_the_perplexity_of_a_corpus_weighs_pieces_not_texts():
    assert pseudo_perplexity([Likelihood(-6.0, 2), Likelihood(0.0, 4)]) == pytest.approx(math.e)
    assert pseudo_perplexity([Likelihood(0.0, 0)]) is None
    assert pseudo_perplexity([]) is None
    assert math.isfinite(pseudo_perplexity([Likelihood(-1e9, 1)]))


def test_a_budget_is_kept_but_one_is_always_read():
    assert affordable([(10, 10)] * 5, 450) == 2
    assert affordable([(10, 10)] * 5, 10_000) == 5
    assert affordable([(500, 500)], 10) == 1
    assert affordable([], 10) == 0
    assert affordable([(500, 500)] * 9, 4 * module.MOST_PIECES**2) == 2
