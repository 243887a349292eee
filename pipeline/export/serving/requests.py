"""What a client may ask: ``{"text": "..."}`` for one row, ``{"rows": [{"text": "..."}, ...]}`` for several.

A row of a task on pairs has ``text_pair`` beside ``text``. Whatever else comes is refused in one line.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pipeline.errors import DataError
from pipeline.export.rows import refuse_half_characters
from pipeline.export.scorer import Row

KEYS = ("text", "text_pair")


class RefusedError(Exception):
    """A request that is answered with an error.

    Args:
        status: of HTTP.
        message: one line, what is wrong and how to mend it.
    """

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class RequestLimits:
    """What a request may be.

    Args:
        body_bytes: of the body.
        rows: in one request.
        body_seconds: until the body has come.
    """

    body_bytes: int = 1_000_000
    rows: int = 256
    body_seconds: float = 30.0


async def read_body(stream: AsyncIterator[bytes], limits: RequestLimits) -> bytes:
    """The body of a request; of one that is too large nothing is kept, but it is read, so that its sender is answered.

    Raises:
        RefusedError: it is too large, or too slow.
    """
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for part in stream:
                size += len(part)
                if size <= limits.body_bytes:
                    parts.append(part)
                else:
                    parts.clear()
    except TimeoutError as error:
        raise RefusedError(
            HTTPStatus.REQUEST_TIMEOUT, f"the body did not come within {limits.body_seconds:g} s: send it again"
        ) from error
    if size > limits.body_bytes:
        raise RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body has {size} bytes, at most {limits.body_bytes} are taken: send fewer rows a request",
        )
    return b"".join(parts)


def parse_body(body: bytes, limits: RequestLimits, *, pair: bool) -> tuple[list[Row], bool]:
    """The rows of a request, and whether it asked for a single one.

    Args:
        body: as it came.
        limits: of the request.
        pair: whether a row is two texts.

    Raises:
        RefusedError: it cannot be read, or asks too much.
    """
    try:
        value: Any = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _bad(f"the body is not UTF-8 (byte {body[error.start]:#04x} at {error.start}): encode it so") from error
    except (ValueError, RecursionError) as error:
        raise _bad(f"the body is not JSON ({error}): send {_example(pair=pair)}") from error
    if not isinstance(value, dict):
        raise _bad(f"the body is a JSON {type(value).__name__}: send {_example(pair=pair)}")
    if "rows" not in value:
        return [_row(value, "the body", pair=pair)], True
    rows = value["rows"]
    if not isinstance(rows, list) or set(value) != {"rows"}:
        raise _bad('beside "rows", a list, nothing is known: send {"rows": [' + _example(pair=pair) + "]}")
    if len(rows) > limits.rows:
        raise RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"there are {len(rows)} rows, at most {limits.rows} are taken: send several requests",
        )
    return [_row(row, f"row {number}", pair=pair) for number, row in enumerate(rows)], False


def _row(value: Any, where: str, *, pair: bool) -> Row:
    wanted = KEYS if pair else KEYS[:1]
    if not isinstance(value, dict) or set(value) != set(wanted):
        found = f"the keys {', '.join(value) or 'none'}" if isinstance(value, dict) else type(value).__name__
        raise _bad(f"{where} is not what the model reads ({found[:100]}): send {_example(pair=pair)}")
    texts = [value[key] for key in wanted]
    if not all(isinstance(text, str) for text in texts):
        raise _bad(f"a text of {where} is not in quotes: send {_example(pair=pair)}")
    try:
        refuse_half_characters(texts, where)
    except DataError as error:
        raise _bad(str(error)) from error
    return Row(*texts)


def _example(*, pair: bool) -> str:
    return json.dumps(dict.fromkeys(KEYS if pair else KEYS[:1], "..."))


def _bad(message: str) -> RefusedError:
    return RefusedError(HTTPStatus.BAD_REQUEST, message)
