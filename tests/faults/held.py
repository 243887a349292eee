"""A Python module that is run as a command, and waits at the first file that a stage makes, for as long as it is told.

    python held.py FOLDER MODULE ARGUMENT...

``FOLDER/here`` appears when it waits; it goes on when somebody makes ``FOLDER/go``, or when it is told to end.
"""

import os
import re
import runpy
import signal
import sys
import time
from pathlib import Path
from typing import Any

MADE = re.compile(r"/\.work/[0-9a-f]+/(output|scratch)/")
folder, module = Path(sys.argv[1]), sys.argv[2]
waited: list[Path] = []
install = signal.signal


def wait(event: str, given: tuple[Any, ...]) -> None:
    if waited or event != "open" or not given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        return
    if isinstance(given[0], (str, os.PathLike)) and MADE.search(str(Path(given[0]).absolute())):
        waited.append(folder)
        (folder / "here").touch()
        while not (folder / "go").exists():
            time.sleep(0.02)


def also_goes_on(number: int, handler: Any) -> Any:
    """A file may be made by a thread, for which the main one then waits."""
    if number != signal.SIGTERM or not callable(handler):
        return install(number, handler)

    def handle(*given: Any) -> None:
        (folder / "go").touch()
        handler(*given)

    return install(number, handle)


signal.signal = also_goes_on
sys.addaudithook(wait)
sys.argv = [module, *sys.argv[3:]]
runpy.run_module(module, run_name="__main__", alter_sys=True)
