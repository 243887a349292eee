"""How long a run takes to be left, from Ctrl-C in a real terminal to the prompt, without a server of its own.

    python benchmarks/leaving.py [--rounds 3]

The bound is 6 s: a run that was told to leave has saved a checkpoint by then, and nothing it started is left.
"""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from terminal_run import CTRL_C, LONG, TerminalRun, gone
from tiny_run import tiny

BOUND_SECONDS = 6.0
WAYS = ("Ctrl-C", "Ctrl-C, its server hangs", "Ctrl-C, its server died", "kill -9: its server's end")


def left(folder: Path, home: Path, way: str) -> float:
    """Seconds from the word to the end."""
    run = TerminalRun(tiny(folder), home, "run", "tiny.yaml", *LONG)
    try:
        servers = run.in_training()
        for server in servers:
            if "hangs" in way:
                server.suspend()
            elif "died" in way:
                server.kill()
        began = time.perf_counter()
        if "kill" in way:
            run.process.kill()
            gone(servers)
        else:
            run.type(CTRL_C)
            run.leave()
        took = time.perf_counter() - began
        for server in servers:
            if "hangs" in way:
                server.resume()
        return took
    finally:
        run.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    slowest = 0.0
    with TemporaryDirectory() as folder:
        for way in WAYS:
            took = [left(Path(folder) / f"{way}-{number}", Path(folder) / "home", way) for number in range(rounds)]
            slowest = max(slowest, *took)
            print(f"{way:28} {', '.join(f'{seconds:.1f}' for seconds in took)} s", flush=True)
    print(f"slowest {slowest:.1f} s, bound {BOUND_SECONDS:.0f} s: {'kept' if slowest <= BOUND_SECONDS else 'BROKEN'}")


if __name__ == "__main__":
    main()
