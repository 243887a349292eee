"""The yardstick without a Transformer: word and word-pair counts, and a linear model on them.

A distilled student that does not beat this has learned nothing that its size is needed for.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from pipeline.errors import DataError

SEPARATOR = "\u241e"
WORDS = rf"(?u)\b\w\w+\b|{SEPARATOR}"  # the separator is a word, so that no pair of words spans it

Row = str | tuple[str, ...]


def tfidf_baseline(
    train_texts: Sequence[Row],
    train_labels: Sequence[Any] | np.ndarray,
    dev_texts: Sequence[Row],
    kind: Literal["classification", "regression"] = "classification",
) -> np.ndarray:
    """Predictions for the dev rows of a linear model on TF-IDF weighted words and word pairs.

    Classification is a logistic regression; regression is a ridge, kept within the labels seen.

    Args:
        train_texts: one text a row, or a tuple of texts (a pair), which is joined with a separator.
        train_labels: one label a row: class indices or names, or numbers when ``kind`` is regression.
        dev_texts: rows to predict.
        kind: what is predicted.

    Returns:
        (dev rows,), of the labels' own type: classes, or float64 scores.

    Raises:
        DataError: the rows hold no words, or only one label.
    """
    labels = np.asarray(train_labels)
    if kind == "classification" and len(np.unique(labels)) < 2:
        found = f"one label only ({labels[0]})" if len(labels) else "no label"
        msg = f"the {len(labels)} training rows hold {found}: add rows of another"
        raise DataError(msg)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORDS)
    linear = LogisticRegression(C=10.0, max_iter=1000) if kind == "classification" else Ridge()
    model = make_pipeline(words, linear)
    try:
        model.fit([_joined(row) for row in train_texts], labels)
    except ValueError as error:
        if "empty vocabulary" not in str(error):
            raise
        msg = f"the {len(train_texts)} training rows hold no words to count: switch evaluation.tfidf off"
        raise DataError(msg) from error
    predictions = model.predict([_joined(row) for row in dev_texts])
    return np.clip(predictions, labels.min(), labels.max()) if kind == "regression" else predictions


def _joined(row: Row) -> str:
    return row if isinstance(row, str) else f" {SEPARATOR} ".join(row)
