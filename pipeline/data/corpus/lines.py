"""Decode the lines of a plain or compressed text file one by one.

The error for a file that is not text names the first byte that is not.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from pipeline.errors import DataError

MAX_LINE_BYTES = 1 << 26
"""A longer line is refused, unless it may be split."""
SPLIT_BYTES = 1 << 20
"""A longer line is split, if it may be."""


class Line(NamedTuple):
    """A line without its end; ``number`` counts from 1."""

    number: int
    text: str


def numbered_lines(path: Path, *, split_long: bool = False) -> Iterator[Line]:
    """Decode a UTF-8 file line by line; ``.gz`` and ``.zst`` are decompressed on the way.

    Args:
        path: the file.
        split_long: cut lines at a space after ``SPLIT_BYTES`` instead of refusing ``MAX_LINE_BYTES``.

    Raises:
        DataError: not UTF-8, binary, cut short, a line too long, or lines that end with a carriage return alone.
    """
    offset = 0
    lines = _split_lines(path) if split_long else _whole_lines(path)
    for number, raw in enumerate(lines, start=1):
        if number == 1 and not raw.endswith(b"\n") and b"\r" in raw.rstrip(b"\r"):
            raise DataError(
                f"{path}: its lines end with a carriage return alone (0x0d): convert it, e.g. tr '\\r' '\\n'"
            )
        yield Line(number, _decode(raw, path, offset).rstrip("\r\n"))
        offset += len(raw)


def _whole_lines(path: Path) -> Iterator[bytes]:
    for number, raw in enumerate(_read_lines(path, MAX_LINE_BYTES), start=1):
        if len(raw) >= MAX_LINE_BYTES:
            raise DataError(f"{path}:{number}: longer than {MAX_LINE_BYTES} bytes: put one document on a line")
        yield raw


def _split_lines(path: Path) -> Iterator[bytes]:
    rest = b""
    for raw in _read_lines(path, SPLIT_BYTES):
        line = rest + raw
        cut = len(line) if line.endswith(b"\n") else _boundary(line)
        rest = line[cut:]
        if cut:
            yield line[:cut]
    if rest:
        yield rest


def _boundary(line: bytes) -> int:
    """Return where an unfinished line may be cut: after its last space, or else before its last character."""
    space = line.rfind(b" ") + 1
    if space:
        return space
    cut = len(line) - 1
    while cut > 0 and line[cut] & 0xC0 == 0x80:  # inside a character of several bytes
        cut -= 1
    return cut


def _read_lines(path: Path, max_bytes: int) -> Iterator[bytes]:
    try:
        with _open(path) as stream:
            while raw := stream.readline(max_bytes):
                yield raw
    except (OSError, EOFError, zlib.error) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: cannot be read to its end ({reason}): check or fetch it again") from None


def _open(path: Path) -> io.BufferedIOBase:
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    if path.suffix == ".zst":
        stream = pa.CompressedInputStream(pa.OSFile(str(path), "rb"), "zstd")
        return io.BufferedReader(stream, buffer_size=1 << 18)
    return path.open("rb")


def _decode(raw: bytes, path: Path, offset: int) -> str:
    try:
        text = raw.decode("utf-8-sig" if offset == 0 else "utf-8")
    except UnicodeDecodeError as error:
        if b"\0" not in raw:
            raise DataError(
                f"{path}: not UTF-8 at byte {offset + error.start}: convert it to UTF-8, with iconv say"
            ) from None
        text = "\0"
    if "\0" in text:
        raise DataError(f"{path}: binary, byte {offset + raw.find(0)} is NUL: expected text in UTF-8")
    return text
