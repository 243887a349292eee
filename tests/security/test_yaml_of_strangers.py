"""A configuration from a stranger is read as text, numbers and lists, and as nothing else."""

from pathlib import Path

import pytest

from flows.cli import main
from pipeline.errors import ConfigError

TAGS = (
    "!!python/object/apply:os.system ['touch {mark}']",
    "!!python/object/new:os.system ['touch {mark}']",
    "!!python/name:os.system",
    "!!python/module:os",
    "!mine x",
)


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_that_would_run_code_is_one_line(tag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mark, file = tmp_path / "was-run", tmp_path / "run.yaml"
    file.write_text(f"name: {tag.format(mark=mark)}\n")
    with pytest.raises(SystemExit) as left:
        main(["plan", str(file)])
    assert left.value.code == ConfigError.exit_code
    err = capsys.readouterr().err
    assert err.startswith(f"error: {file}, line 1, column 7: could not determine a constructor for the tag")
    assert err.count("\n") == 1
    assert not mark.exists()


def test_a_value_that_unfolds_without_end_is_one_short_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def unfolded(depth: int) -> str:
        inner = unfolded(depth - 1) if depth else '"x"'
        return f"[&a{depth} {inner}{f', *a{depth}' * 8}]"

    file = tmp_path / "run.yaml"
    file.write_text(f"corpus:\n  paths: {unfolded(9)}\n")
    with pytest.raises(SystemExit) as left:
        main(["plan", str(file)])
    assert left.value.code == ConfigError.exit_code
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert len(err) < 4000
