"""A text file as numbered lines of UTF-8; anything else is told with the line and byte where it shows."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import DataError

_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def require_content(path: Path) -> None:
    """Raise a DataError unless the file is there, readable, and not empty."""
    if not path.is_file():
        kind = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise DataError(f"{path} {kind}: correct the path")
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise DataError(f"{path} is empty (0 bytes): name a file with rows in it")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): correct its permissions") from error


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""Each line with its number, counted from 1, and its line end taken off.

    Lines end at ``\n`` or ``\r\n`` alone: the rarer separators of Unicode occur inside real sentences.
    A byte-order mark is dropped. The file is streamed.

    Raises:
        DataError: the file is missing, empty, binary (a NUL byte), UTF-16, not UTF-8, or of one line where
            carriage returns end them.
    """
    require_content(path)
    start, size = 0, path.stat().st_size
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if number == 1 and raw.startswith(_UTF16):
                raise DataError(f"{path} is UTF-16, not UTF-8: convert it, e.g. iconv -f UTF-16 -t UTF-8")
            if number == 1 and len(raw) == size and b"\r" in raw.rstrip(b"\r\n"):
                raise DataError(
                    f"{path} ends its lines with a carriage return alone (0x0d), so it is one line to everybody else: "
                    "convert it, e.g. tr '\\r' '\\n'"
                )
            nul = raw.find(b"\0")
            if nul >= 0:
                raise DataError(f"{path} is binary (a NUL byte on line {number}, byte {start + nul}): name a text file")
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                byte = raw[error.start]
                raise DataError(
                    f"{path} is not UTF-8 (0x{byte:02x} on line {number}, byte {start + error.start}): "
                    "convert it, e.g. iconv -f LATIN1 -t UTF-8"
                ) from error
            start += len(raw)
            yield number, line.removesuffix("\n").removesuffix("\r")
