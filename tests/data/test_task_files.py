"""Tables in every format say the same, and what cannot be read says where and why."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.tasks.files import read_rows
from pipeline.data.tasks.rows import Columns
from pipeline.errors import DataError

COLUMNS = Columns("text", "other", "label")
any_text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
line_text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\t\n\r"), max_size=20)


def write(path, rows, names=("label", "text", "other")):
    if path.suffix == ".jsonl":
        lines = [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows]
        path.write_bytes(("\n".join(lines) + "\n").encode())
    elif path.suffix == ".parquet":
        columns = zip(*rows, strict=True)
        pq.write_table(pa.table(dict(zip(names, map(list, columns), strict=True))), path)
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([names, *rows])
    else:
        path.write_bytes("".join("\t".join(row) + "\n" for row in [names, *rows]).encode())
    return path


def read_back(path):
    rows = read_rows(path, COLUMNS)
    return list(zip(rows.labels, rows.texts, rows.pairs, strict=True))


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
@given(rows=st.lists(st.tuples(any_text, any_text, any_text), min_size=1, max_size=8))
@settings(deadline=None, max_examples=40)
def test_any_text_survives_jsonl_and_parquet(tmp_path_factory, ending, rows):
    assert read_back(write(tmp_path_factory.getbasetemp() / f"any{ending}", rows)) == rows


@pytest.mark.parametrize("ending", [".tsv", ".csv"])
@given(rows=st.lists(st.tuples(line_text, line_text, line_text), min_size=1, max_size=8))
@settings(deadline=None, max_examples=40)
def test_any_line_survives_tsv_and_csv(tmp_path_factory, ending, rows):
    # quotation marks, byte-order marks and Unicode's own line separators included
    assert read_back(write(tmp_path_factory.getbasetemp() / f"line{ending}", rows)) == rows


def test_csv_texts_may_span_lines_and_be_long(tmp_path):
    rows = [("a", "one\ntwo, three", 'say "x"'), ("b", "w " * 100_000, "end")]
    path = write(tmp_path / "x.csv", rows)
    assert read_back(path) == rows
    assert read_rows(path, COLUMNS).place(1).endswith("x.csv:4")


def test_a_byte_order_mark_and_carriage_returns_are_no_text(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_bytes(b"\xef\xbb\xbftext\tother\tlabel\r\none\ttwo\tyes\r\n\r\n")
    assert read_back(path) == [("yes", "one", "two")]


@pytest.mark.parametrize(("mark", "said"), [(";", "semicolons"), ("\t", "tabs")])
def test_csv_with_other_separators_is_read_and_told(tmp_path, mark, said):
    path = tmp_path / "x.csv"
    rows = [("yes", "one; two, three\tfour", 'say "x"'), ("no", "b", "c")]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=mark).writerows([("label", "text", "other"), *rows])
    assert read_back(path) == rows
    assert read_rows(path, COLUMNS).remark == f"{path} separates its columns with {said} and was read so: use commas"
    assert read_rows(write(tmp_path / "y.csv", rows), COLUMNS).remark == ""


def test_txt_is_one_text_a_line(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("one\n\n two \n")
    rows = read_rows(path, Columns("text", None, None))
    assert (list(rows.texts), rows.place(1)) == (["one", " two "], f"{path}:3")
    with pytest.raises(DataError, match=r"one text a line, but columns 'text', 'other' are needed"):
        read_rows(path, Columns("text", "other", None))


def test_a_parquet_file_in_a_folder_like_a_partition_keeps_its_columns(tmp_path):
    folder = tmp_path / "label=zero"
    folder.mkdir()
    assert read_back(write(folder / "x.parquet", [("l", "t", "o")])) == [("l", "t", "o")]


HEAD = b"text,other,label\n"
BAD = {
    "empty.csv": (b"", r"empty\.csv is empty \(0 bytes\)"),
    "binary.csv": (HEAD + b"a,b,c\nd,\0,f\n", r"binary \(a NUL byte on line 3, byte 25\)"),
    "latin.csv": (HEAD + b"caf\xe9,b,c\n", r"not UTF-8 \(0xe9 on line 2, byte 20\): .*iconv"),
    "utf16.tsv": ("text\tlabel".encode("utf-16"), "is UTF-16"),
    "ragged.csv": (HEAD + b"a,b,c\na,b\n", r"ragged\.csv:3 has 2 fields, not 3"),
    "ragged.tsv": (b"text\tother\tlabel\na\tb\tc\td\n", r"ragged\.tsv:2 has 4 fields, not 3"),
    "quote.csv": (HEAD + b'a,b,c\n"a,b,c\nd,e,f\n', r"quote\.csv:3 is not CSV"),
    "typo.csv": (
        b"Txt,other,label\na,b,c\n",
        "no column 'text', only 'Txt', 'other', 'label': did you mean 'Txt'",
    ),
    "far.csv": (b"body,other,label\na,b,c\n", "no column 'text', only .*: name the columns under task"),
    "twice.csv": (b"text,other,label,text\na,b,c,d\n", "2 columns named 'text'"),
    "broken.jsonl": (b'{"text": "a", "other": "b", "label": 1}\n{"text\n', r"broken\.jsonl:2 is not JSON"),
    "list.jsonl": (b"[1, 2]\n", r"list\.jsonl:1 is '\[1, 2\]', no JSON object"),
    "lacks.jsonl": (b'{"text": "a", "label": 1}\n', r"lacks\.jsonl:1 has no column 'other'"),
    "number.jsonl": (
        b'{"text": 7, "other": "b", "label": 1}\n',
        r"number\.jsonl:1: column 'text' holds 7, not text",
    ),
    "half.jsonl": (
        b'{"text": "a", "other": "b", "label": 1}\n{"text": "so \\ud83d bad", "other": "b", "label": 1}\n',
        r"half\.jsonl:2: column 'text' holds half a character, '\\ud83d', in 'so \\ud83d bad'",
    ),
    "mac.csv": (
        HEAD.replace(b"\n", b"\r") + b"a,b,c\rd,e,f\r",
        r"mac\.csv ends its lines with a carriage return alone",
    ),
    "mac.tsv": (b"text\tother\tlabel\ra\tb\tc", r"ends its lines with a carriage return alone .*: convert it"),
    "headless.tsv": (
        b"a film that was much too long for me\tb\t0\nanother\tb\t1\n",
        r"no header: its first line, 'a film .*, seems to be a row of 3 columns: .* such as 'text\\tother\\tlabel'",
    ),
    "headless.csv": (b"4,so good a film it was,x,1\n", r"no header: .* 4 columns: .*'text,other,column3,label'"),
    "commas.tsv": (HEAD + b"a,b,c\n", "separates its columns with commas, not tabs: name it .csv"),
    "quoted.tsv": (
        b'"text"\t"other"\t"label"\n"a"\t"b"\t"c"\n',
        "no column 'text', .*: its fields are quoted, and .tsv is read without quoting: save it as .csv",
    ),
    "not.parquet": (b"PAR0 nothing", "is not a Parquet file"),
    "sheet.xlsx": (b"x", r"ends in '\.xlsx', none of \.tsv, \.csv"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_one_line_that_says_where(tmp_path, name):
    content, message = BAD[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as found:
        read_rows(path, COLUMNS)
    assert str(path) in str(found.value)
    assert "\n" not in str(found.value)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_rows(tmp_path / "no.csv", COLUMNS)
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        read_rows(tmp_path / "d.csv", COLUMNS)
