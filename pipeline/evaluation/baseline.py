"""The baseline without a Transformer: a linear model on counts of words and word pairs.

For scripts without spaces between words, characters and pairs of characters are counted instead.

A distilled student that does not beat this baseline has learned nothing that needs its size.
"""

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any, Literal

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from pipeline.errors import DataError

SEPARATOR = "\u241e"
WORDS = rf"(?u)\b\w\w+\b|{SEPARATOR}"  # the separator is a word, so that no pair of words spans it

# Thai and Lao, Tibetan, Burmese, Khmer, kana, Chinese characters: scripts that set no spaces between words.
SPACELESS = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
SAMPLED_TEXTS = 2_000
MIN_SPACELESS_SHARE = 0.3  # of the letters; a page in Chinese has names and numbers in it

Row = str | tuple[str, ...]
Unit = Literal["words", "characters"]


def unit(train_texts: Sequence[Row]) -> Unit:
    """Return what is counted: characters if many letters of the training texts are of a script without spaces."""
    text = " ".join(_joined(row) for row in islice(train_texts, SAMPLED_TEXTS))
    letters = sum(character.isalpha() for character in text)
    return "characters" if letters and len(SPACELESS.findall(text)) > MIN_SPACELESS_SHARE * letters else "words"


def tfidf_baseline(
    train_texts: Sequence[Row],
    train_labels: Sequence[Any] | np.ndarray,
    dev_texts: Sequence[Row],
    kind: Literal["classification", "regression"] = "classification",
) -> np.ndarray:
    """Predict the dev rows with a linear model on TF-IDF weights of words and word pairs, or of characters.

    Classification uses logistic regression; regression uses ridge regression, clipped to the range of the labels.

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
        content = f"one label only ({labels[0]})" if len(labels) else "no label"
        raise DataError(f"the {len(labels)} training rows hold {content}: add rows of another")
    units: dict[str, Any] = {"token_pattern": WORDS} if unit(train_texts) == "words" else {"analyzer": "char"}
    linear = LogisticRegression(C=10.0, max_iter=1000) if kind == "classification" else Ridge()
    model = make_pipeline(TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), **units), linear)
    try:
        model.fit([_joined(row) for row in train_texts], labels)
    except ValueError as error:
        if "empty vocabulary" not in str(error):
            raise
        raise DataError(
            f"the {len(train_texts)} training rows hold no words to count: switch evaluation.tfidf off"
        ) from error
    predictions = model.predict([_joined(row) for row in dev_texts])
    return np.clip(predictions, labels.min(), labels.max()) if kind == "regression" else predictions


def _joined(row: Row) -> str:
    return row if isinstance(row, str) else f" {SEPARATOR} ".join(row)
