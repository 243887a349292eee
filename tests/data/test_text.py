import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.corpus import lines, text
from pipeline.data.corpus.text import corpus_files, documents, hub_documents
from pipeline.errors import DataError

TWO = b"first paragraph\nsecond paragraph\n\n\nthird\n"
TWO_DOCUMENTS = [["first paragraph", "second paragraph"], ["third"]]


def write_zst(path: Path, content: bytes) -> None:
    with pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd") as stream:
        stream.write(content)


def write(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(content))
    elif name.endswith(".zst"):
        write_zst(path, content)
    else:
        path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.txt.zst"])
def test_txt_has_a_paragraph_a_line_and_a_blank_line_between_documents(tmp_path, name):
    assert list(documents([write(tmp_path, name, TWO)])) == TWO_DOCUMENTS


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_jsonl_row_is_a_document(tmp_path, name):
    rows = [{"body": "one\ntwo", "n": 1}, {"body": None}, {"body": "three"}]
    content = "\n".join(map(json.dumps, rows)).encode()
    assert list(documents([write(tmp_path, name, content)], "body")) == [["one", "two"], ["three"]]


def test_parquet_row_is_a_document(tmp_path):
    pq.write_table(pa.table({"text": ["one\ntwo", None, "three"], "n": [1, 2, 3]}), tmp_path / "a.parquet")
    assert list(documents([str(tmp_path / "a.parquet")])) == [["one", "two"], ["three"]]


def test_globs_are_expanded_sorted_and_name_a_file_once(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("b.txt", "a.txt", "deep/c.txt"):
        write(tmp_path, name, name.encode())
    found = corpus_files([str(tmp_path / "b*.txt"), str(tmp_path / "**/*.txt")])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["b.txt", "a.txt", "deep/c.txt"]


def test_windows_line_ends_and_a_byte_order_mark_are_not_text(tmp_path):
    path = write(tmp_path, "a.txt", b"\xef\xbb\xbfone\r\n\r\ntwo\r\n")
    assert list(documents([path])) == [["one"], ["two"]]


def test_a_long_document_comes_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "MAX_DOCUMENT_CHARS", 10)
    path = write(tmp_path, "a.txt", b"123456\n123456\n123456\n12\n")
    assert list(documents([path])) == [["123456"], ["123456"], ["123456", "12"]]


@given(st.text(alphabet="aé中 \n", min_size=1).filter(str.strip))
def test_long_lines_are_cut_without_losing_a_character(tmp_path_factory, content):
    path = Path(write(tmp_path_factory.mktemp("t"), "a.txt", content.encode()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "SPLIT_BYTES", 7)
        pieces = [line.text for line in lines.numbered_lines(path, split_long=True)]
    assert "".join(pieces) == content.replace("\n", "")


def says(call, *parts: str) -> None:
    with pytest.raises(DataError) as caught:
        list(call())
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_errors_of_files_come_before_any_text(tmp_path):
    good = write(tmp_path, "a.txt", TWO)
    says(lambda: documents([str(tmp_path / "*.jsonl")]), "no file matches", "*.jsonl")
    says(lambda: documents([]), "no corpus files")
    for bad, part in [
        (str(tmp_path / "missing.txt"), "does not exist"),
        (write(tmp_path, "empty.txt", b""), "empty"),
        (write(tmp_path, "a.docx", b"x"), ".docx"),
        (str(tmp_path), "is a folder"),
        (write(tmp_path, "a.parquet", b"not parquet"), "not a Parquet file"),
    ]:
        with pytest.raises(DataError, match=part):
            documents([good, bad])  # not read yet


def test_a_parquet_file_without_the_column_names_those_it_has(tmp_path):
    pq.write_table(pa.table({"body": ["x"], "n": [1]}), tmp_path / "a.parquet")
    says(lambda: documents([str(tmp_path / "a.parquet")]), "'text'", "body, n")
    says(lambda: documents([str(tmp_path / "a.parquet")], "n"), "not text")


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("a.txt", b"fine\nab\xff\xfe\n", ["not UTF-8 at byte 7"]),
        ("a.txt.gz", b"fine\nab\xff\xfe\n", ["not UTF-8 at byte 7"]),
        ("a.txt", b"fine\na\0b", ["binary", "byte 6"]),
        ("a.txt", b" \n\n", ["no text"]),
        ("a.jsonl", b'{"text": "a"}\n{"text": \n', ["a.jsonl:2", "not JSON"]),
        ("a.txt", b"one\rtwo\rthree\r", ["carriage return alone", "convert"]),
        ("a.jsonl", b"[1]\n", ["a.jsonl:1", "list"]),
        ("a.jsonl", b'{"body": "a", "n": 1}\n', ["a.jsonl:1", "'text'", "body, n"]),
        ("a.jsonl", b'{"text": 3}\n', ["a.jsonl:1", "int 3"]),
    ],
)
def test_what_is_wrong_inside_a_file_is_said_in_one_line(tmp_path, name, content, parts):
    says(lambda: documents([write(tmp_path, name, content)]), *parts)


@pytest.mark.parametrize("name", ["a.txt.gz", "a.txt.zst"])
def test_a_compressed_file_cut_short_is_an_error(tmp_path, name):
    path = Path(write(tmp_path, name, bytes(range(48, 90)) * 5000))
    path.write_bytes(path.read_bytes()[:-12])
    says(lambda: documents([str(path)]), "cannot be read to its end")


def test_a_dataset_folder_is_streamed(tmp_path):
    write(tmp_path, "train.jsonl", b'{"text": "one\\ntwo"}\n{"text": "three"}\n')
    assert list(hub_documents(str(tmp_path), "train", "text")) == [["one", "two"], ["three"]]
    says(lambda: hub_documents(str(tmp_path), "train", "body"), "'body'", "text")
    says(lambda: hub_documents(str(tmp_path), "test", "text"), "split 'test'")
