"""A load that costs little itself: requests written once, connections kept, answers counted by status."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Load:
    """What a load met.

    Args:
        seconds: it lasted.
        statuses: answers by HTTP status; ``lost`` is a request without one.
        milliseconds: of each answer with status 200.
    """

    seconds: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)

    @property
    def answered(self) -> float:
        """Requests a second with status 200."""
        return self.statuses["200"] / self.seconds

    def percentiles(self) -> tuple[float, float, float]:
        """p50, p95 and p99 in milliseconds."""
        if not self.milliseconds:
            return (float("nan"),) * 3
        low, middle, high = np.percentile(self.milliseconds, (50, 95, 99))
        return float(low), float(middle), float(high)


def requests(texts: Sequence[str]) -> list[bytes]:
    """A request for each text, ready to be sent."""
    found = []
    for text in texts:
        body = json.dumps({"text": text}).encode()
        found.append(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    return found


async def closed_loop(port: int, sent: Sequence[bytes], connections: int, seconds: float) -> Load:
    """Each connection asks again as soon as it is answered."""
    load = Load()
    began = time.perf_counter()

    async def client(number: int) -> None:
        line = await asyncio.open_connection("127.0.0.1", port)
        place = number
        while time.perf_counter() - began < seconds:
            await _ask(line, sent[place % len(sent)], time.perf_counter(), load)
            place += connections
        line[1].close()

    await asyncio.gather(*(client(number) for number in range(connections)))
    load.seconds = time.perf_counter() - began
    return load


async def open_loop(port: int, sent: Sequence[bytes], rate: float, seconds: float, connections: int) -> Load:
    """Requests come at a rate whether or not earlier ones are answered; a time counts from when it should have come.

    Args:
        port: of the server.
        sent: the requests, in turn.
        rate: requests a second.
        seconds: how long.
        connections: that the requests are spread over; more than wait at any moment, or the load is no longer open.
    """
    load, due = Load(), asyncio.Queue[tuple[bytes, float] | None]()
    began = time.perf_counter()

    async def client() -> None:
        line = await asyncio.open_connection("127.0.0.1", port)
        while (one := await due.get()) is not None:
            await _ask(line, one[0], one[1], load)
        line[1].close()

    clients = [asyncio.create_task(client()) for _ in range(connections)]
    for number in range(int(rate * seconds)):
        when = began + number / rate
        if (wait := when - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        due.put_nowait((sent[number % len(sent)], when))
    for _ in clients:
        due.put_nowait(None)
    await asyncio.gather(*clients)
    load.seconds = time.perf_counter() - began
    return load


async def _ask(
    line: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes, since: float, load: Load
) -> None:
    reader, writer = line
    try:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
    except (OSError, asyncio.IncompleteReadError):
        load.statuses["lost"] += 1
        return
    status = head.split(b" ", 2)[1].decode()
    load.statuses[status] += 1
    if status == "200":
        load.milliseconds.append(1000 * (time.perf_counter() - since))
