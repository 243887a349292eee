"""Requests a second and their times: ``tinybert serve`` beside a plain pipeline, and at ten times what it can take.

    python benchmarks/serving/load.py artifacts/export/v0001-... texts.txt [--seconds 10] [--quick]

One row a request. Throughput and times come from connections that ask again as soon as they are answered (1 and 32);
the overload from requests at ten times the measured rate, whether or not earlier ones are answered. Client and server
share the machine. The servers are measured in turns, so that a slow minute is paid by all of them.
"""

import argparse
import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from client import Load, closed_loop, open_loop, requests

HERE = Path(__file__).parent
OVERLOAD = 10
CONNECTIONS = (1, 32)


@contextmanager
def server(*command: str) -> Iterator[int]:
    """The port of a server that runs meanwhile."""
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    try:
        said = process.stdout.readline() if process.stdout else ""
        found = re.search(r"http://127\.0\.0\.1:(\d+)", said)
        if found is None:
            raise SystemExit(f"{command} did not start")
        yield int(found[1])
    finally:
        process.terminate()
        process.communicate()


def line(name: str, what: str, load: Load) -> None:
    others = ", ".join(f"{count} x {status}" for status, count in sorted(load.statuses.items()) if status != "200")
    low, middle, high = load.percentiles()
    print(
        f"{name:16} {what:28} {load.answered:8.0f} answers/s  p50 {low:7.1f}  p95 {middle:7.1f}  p99 {high:7.1f} ms"
        f"{f'  ({others})' if others else ''}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("texts", type=Path, help="a text a line")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="half a second each: does it run?")
    given = parser.parse_args()
    seconds, rounds = (0.5, 1) if given.quick else (given.seconds, given.rounds)
    sent = requests([text for text in given.texts.read_text(encoding="utf-8").splitlines() if text.strip()])
    serve = ("-m", "flows.cli", "serve", str(given.folder.resolve()), "--port", "0", "--threads", "1")
    commands = {
        "ONNX float32": serve,
        "ONNX int8": (*serve, "--variant", "int8"),
        "plain pipeline": (str(HERE / "plain_pipeline.py"), str(given.folder)),
    }
    with ExitStack() as stack:
        ports = {name: stack.enter_context(server(*command)) for name, command in commands.items()}
        best = dict.fromkeys(ports, 0.0)
        for number in range(rounds):
            for connections in CONNECTIONS:
                for name, port in ports.items():
                    load = asyncio.run(closed_loop(port, sent, connections, seconds))
                    best[name] = max(best[name], load.answered)
                    line(name, f"round {number + 1}, {connections} connections", load)
        for name in ("ONNX float32", "plain pipeline"):
            rate = OVERLOAD * best[name]
            load = asyncio.run(open_loop(ports[name], sent, rate, seconds, connections=1024))
            line(name, f"{rate:.0f} requests/s come", load)
            line(name, "afterwards, 32 connections", asyncio.run(closed_loop(ports[name], sent, 32, seconds)))


if __name__ == "__main__":
    main()
