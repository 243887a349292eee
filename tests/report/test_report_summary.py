import pytest

from pipeline.report.content import ResultRow
from pipeline.report.summary import summarise

TEACHER = ResultRow("teacher", "teacher", {"accuracy": 0.9}, retention=1.0, parameters=1000, latency_ms=10.6)


def student(**fields):
    plain = {"retention": 0.982, "parameters": 210, "latency_ms": 2.0, "speed": (5.3, 5.1, 5.5)}
    return ResultRow("two-stage student", "student", {"accuracy": 0.884}, **(plain | fields))


def test_it_says_what_is_kept_at_what_size_and_speed():
    assert summarise([TEACHER, student()], "accuracy") == (
        "The two-stage student keeps 98.2% of its teacher's accuracy at 21% of its size and 5.3\u00d7 its speed."
    )


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [
        (
            (0.041, 0.02, 0.062),
            ", 4.1 points above the same student trained on labels alone (interval 2.0 to 6.2)",
        ),
        ((-0.03, -0.05, -0.01), "but 3.0 points below the same student"),
        ((0.02, -0.01, 0.05), "but cannot be told from the same student"),
        ((0.02, 0.0, 0.05), "but cannot be told from the same student"),
    ],
)
def test_a_lead_is_a_lead_only_outside_the_interval(difference, verdict):
    assert verdict in summarise([TEACHER, student(difference=difference)], "accuracy")


def test_a_speed_that_was_not_measured_reliably_is_not_claimed():
    assert summarise([TEACHER, student(latency_reliable=False)], "accuracy") == (
        "The two-stage student keeps 98.2% of its teacher's accuracy at 21% of its size "
        "(its speed was not measured reliably)."
    )


def test_the_best_student_speaks():
    worse = ResultRow("student b", "student", {"accuracy": 0.5}, retention=0.55)
    assert "98.2%" in summarise([TEACHER, worse, student()], "accuracy")


def test_without_a_teacher_only_the_score_is_said():
    row = ResultRow("tiny", "student", {"pearson_spearman": 0.8})
    assert summarise([row], "pearson_spearman") == "The student tiny scores 0.800 pearson spearman."


def test_without_a_student_nothing_is_claimed():
    assert summarise([TEACHER], "accuracy") == "No student was evaluated."
