"""The command line, in a process that kills itself if it is the second of its team and this is the first attempt.

The first argument is a pattern of files: as soon as one is there, the process dies.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path


def die_when_there(pattern: str) -> None:
    while not any(Path().glob(pattern)):
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    from flows.cli import main

    if (os.environ["RANK"], os.environ["TORCHELASTIC_RESTART_COUNT"]) == ("1", "0"):
        threading.Thread(target=die_when_there, args=(sys.argv[1],), daemon=True).start()
    main(sys.argv[2:])
