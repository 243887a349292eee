from datetime import datetime

from flows.run_name import differences, run_name

BEGAN = datetime(2026, 11, 30, 9, 12).astimezone()


def test_a_run_is_told_from_the_others_of_its_configuration() -> None:
    assert run_name("demo", BEGAN) == "demo 2026-11-30 09:12"
    assert run_name("demo", BEGAN, ["phases.prediction.training.epochs=5"]) == (
        "demo 2026-11-30 09:12 phases.prediction.training.epochs=5"
    )
    many = [f"key{number}=1" for number in range(5)]
    assert run_name("demo", BEGAN, many) == "demo 2026-11-30 09:12 key0=1 key1=1 key2=1 and 2 more"


def test_a_name_holds_no_credentials_and_no_essay() -> None:
    said = run_name("demo", BEGAN, ["corpus.paths=[s3://me:secret@bucket/x]", "task.unlabelled=[" + "a, " * 99 + "]"])
    assert "secret" not in said
    assert len(said) < 150


def test_what_was_changed_in_the_form_is_named_by_its_keys() -> None:
    before = {"seed": 1, "task": {"name": "a", "dev": None}, "students": [{"layers": 2}]}
    after = {"seed": 2, "task": {"name": "a", "dev": "b.csv"}, "students": [{"layers": 2}]}
    assert differences(before, after) == ["seed=2", "task.dev=b.csv"]
    assert differences(before, before) == []
    named = [{"phases": [{"name": "a", "epochs": 1}, {"name": "b", "epochs": number}]} for number in (1, 2)]
    assert differences(*named) == ["phases.b.epochs=2"]
    assert differences({"students": [{"layers": 2}]}, {"students": [{"layers": 3}]}) == ["students=[{'layers': 3}]"]
    assert differences({"augmentation": {"variants": 2}}, {"augmentation": None}) == ["augmentation=null"]
