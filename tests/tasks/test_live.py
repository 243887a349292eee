"""How a moment of a running stage is written for the UI."""

from tasks.live import described


def test_a_moment_says_how_far_how_long_and_what_it_costs() -> None:
    text = described((1500, 6000, {"loss": 0.12345, "tokens_per_second": 25000.0}), 300.0, "")
    assert text.splitlines() == [
        "**1,500 of 6,000**, 5\u202fmin left",
        "- loss: 0.1235",
        "- tokens per second: 25,000",
    ]


def test_what_nobody_can_know_is_not_told() -> None:
    assert described((512, None, {}), None, "") == "**512**"


def test_the_last_note_is_there_before_anything_is_done() -> None:
    assert described(None, None, "waiting for the device cpu") == "\n_waiting for the device cpu_"
