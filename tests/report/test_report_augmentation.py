import pytest

from pipeline.report.augmentation import changed_words, quality_figures

QUALITY = {
    "rows": 1200,
    "variants": 2300,
    "distinct_a_row": 1.9,
    "rows_without": 7,
    "replacement_rate": 0.4,
    "length_ratio": {"mean": 1.04, "p05": 0.9, "p95": 1.2},
    "teacher": {"flip_rate": 0.125, "probability_shift": 0.062, "flip_tolerance": None},
    "pseudo_perplexity": {"origin": 12.3, "variant": 45.6, "pairs": 20},
    "examples": [],
}
SCORES = {"flip_rate": 0.25, "score_shift": 0.31, "flip_tolerance": 0.5}


def told(**changes):
    return {name: f"{figure}; {meaning}" for name, figure, meaning in quality_figures(QUALITY | changes)}


def test_every_figure_is_told_with_its_meaning():
    assert told() == {
        "variants a row": "1.9; 2.3\u202fk variants of 1.2\u202fk rows; 7 rows have none",
        "replacement rate": "40.0%; of the words that may change",
        "length": "1.04; word pieces of a variant over its origin's; nine in ten lie between 0.90 and 1.20",
        "teacher flip rate": "12.5%; disagree with their origin, by its likeliest class",
        "probability shift": "6.2%; moved to other classes, on average",
        "pseudo-perplexity": "45.6; of the variants for the masked LM; 12.3 of their origins (20 sampled)",
    }


def test_scores_are_told_as_scores():
    found = told(teacher=SCORES)
    assert found["teacher flip rate"] == "25.0%; disagree with their origin, by more than 0.5"
    assert found["score shift"].startswith("0.310")
    assert "probability shift" not in found


@pytest.mark.parametrize("nothing", [None, {"origin": None, "variant": None, "pairs": 1}])
def test_what_was_not_measured_is_not_told(nothing):
    assert "pseudo-perplexity" not in told(pseudo_perplexity=nothing)
    assert set(told(length_ratio={}, teacher={}, pseudo_perplexity=nothing)) == {"variants a row", "replacement rate"}


def test_characters_of_scripts_without_spaces_are_marked_one_by_one():
    assert changed_words("很好 food", "很坏 food") == [("很", False), ("坏", True), (" ", False), ("food", False)]
