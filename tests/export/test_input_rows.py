"""Rows from files and pipes: every format, and every mistake in one line."""

from collections.abc import Iterator
from io import BytesIO

import pytest

from pipeline.errors import DataError
from pipeline.export.answers import windows
from pipeline.export.rows import Format, format_of, read_rows
from pipeline.export.scorer import Row


def read(data: bytes, form: Format, *, pair: bool = False, **columns: str) -> list[Row]:
    return list(read_rows(BytesIO(data), form, name="rows", pair=pair, **columns))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("form", "data"),
    [
        ("text", "an otter\nä bridge\r\n"),
        ("jsonl", '{"text": "an otter", "id": 3}\n\n"ä bridge"\n'),
        ("csv", 'id,text\n1,"an otter"\n2,ä bridge\n'),
        ("tsv", "text\tid\nan otter\t1\nä bridge\t2\n"),
    ],
)
def test_every_format(form: Format, data: str) -> None:
    wanted = [Row("an otter"), Row("ä bridge")]
    assert read(data.encode(), form) == wanted
    assert read(b"\xef\xbb\xbf" + data.encode(), form) == wanted  # the mark that Windows writes is no text


@pytest.mark.parametrize(
    ("form", "data"),
    [
        ("text", "one\ttwo\n"),
        ("jsonl", '{"text": "one", "text_pair": "two"}'),
        ("csv", "text_pair,text\ntwo,one"),
        ("tsv", "text\ttext_pair\none\ttwo"),
    ],
)
def test_pairs(form: Format, data: str) -> None:
    assert read(data.encode(), form, pair=True) == [Row("one", "two")]


def test_a_quoted_field_may_hold_lines_and_columns_have_any_name() -> None:
    data = b'sentence\n"one\ntwo, ""three"""\n'
    assert read(data, "csv", text_column="sentence") == [Row('one\ntwo, "three"')]


@pytest.mark.parametrize(
    ("form", "data", "message"),
    [
        ("text", b"fine\n\xe9t\xe9\n", "line 2 of rows is not UTF-8 (byte 0xe9 at 0)"),
        ("jsonl", b'{"text": 1}', "line 1 of rows has 1 under 'text': write a text in quotes"),
        ("jsonl", b'{"sentence": "a"}', "line 1 of rows has no key 'text': it has sentence"),
        ("jsonl", b'{"text"', "line 1 of rows is not JSON"),
        ("jsonl", b"[1]", "line 1 of rows is no JSON object"),
        ("jsonl", b"[" * 100_000, "line 1 of rows is not JSON"),
        ("jsonl", rb'{"text": "\ud800"}', "line 1 of rows holds half a character"),
        ("csv", b"sentence,label\na,b\n", "rows has no column 'text': it has sentence, label; name one with --text"),
        ("csv", b"text,id\na,1\nb\n", "row 3 of rows has 1 columns, its header 2"),
        ("csv", b'text\n"open\n', "of rows is not CSV"),
    ],
)
def test_a_mistake_is_one_line(form: Format, data: bytes, message: str) -> None:
    with pytest.raises(DataError) as refused:
        read(data, form)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_pair_needs_a_tab() -> None:
    with pytest.raises(DataError, match="line 1 of rows has 1 texts, the model reads pairs"):
        read(b"alone\n", "text", pair=True)


def test_the_suffix_says_how_a_file_is_read() -> None:
    assert [format_of(name, None) for name in ("a.jsonl", "b.CSV", "c.tsv", "d.txt", "-")] == [
        *("jsonl", "csv", "tsv", "text", "text")
    ]
    assert format_of("-", "csv") == "csv"
    with pytest.raises(DataError, match=r"suffix of rows\.parquet"):
        format_of("rows.parquet", None)
    with pytest.raises(DataError, match="'yaml' is unknown"):
        format_of("a.csv", "yaml")


def test_a_stream_is_read_no_further_than_it_is_answered() -> None:
    taken = 0

    def endless() -> Iterator[Row]:
        nonlocal taken
        while True:
            taken += 1
            yield Row("x" * 10)

    assert [len(next(windows(endless(), 5))) for _ in range(2)] == [5, 5]
    assert taken == 10


def test_long_texts_make_short_windows() -> None:
    rows = [Row("x" * 1_500_000)] * 3
    assert [len(window) for window in windows(rows, 100)] == [2, 1]
