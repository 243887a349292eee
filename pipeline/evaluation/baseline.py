"""The yardstick without a Transformer: word and word-pair counts, and a linear model on them.

Where text is written without spaces a "word" would be a whole clause that hardly comes twice; there the counts are
of characters and pairs of characters.

A distilled student that does not beat this has learned nothing that its size is needed for.
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
LOOKED_AT = 2_000  # texts
MOSTLY = 0.3  # of the letters; a page in Chinese has names and numbers in it

Row = str | tuple[str, ...]
Unit = Literal["words", "characters"]


def unit(train_texts: Sequence[Row]) -> Unit:
    """What is counted, which the training texts decide by the script that most of their letters are of."""
    text = " ".join(_joined(row) for row in islice(train_texts, LOOKED_AT))
    letters = sum(character.isalpha() for character in text)
    return "characters" if letters and len(SPACELESS.findall(text)) > MOSTLY * letters else "words"


def tfidf_baseline(
    train_texts: Sequence[Row],
    train_labels: Sequence[Any] | np.ndarray,
    dev_texts: Sequence[Row],
    kind: Literal["classification", "regression"] = "classification",
) -> np.ndarray:
    """Predictions for the dev rows of a linear model on TF-IDF weights of words and word pairs, or of characters.

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
    counted: dict[str, Any] = (
        {"ngram_range": (1, 2), "token_pattern": WORDS}
        if unit(train_texts) == "words"
        else {"ngram_range": (1, 2), "analyzer": "char"}
    )
    words = TfidfVectorizer(sublinear_tf=True, **counted)
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
