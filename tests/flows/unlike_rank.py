"""The command line, in a process whose machine has units for bfloat16 if it is the first of its team, and none if not.

The first argument is a folder: each process leaves a file there for each precision that it computes in.
"""

import os
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    from flows.cli import main
    from pipeline.device import host
    from pipeline.models import precision

    rank, folder = os.environ["RANK"], Path(sys.argv[1])
    flags = "fpu amx_bf16" if rank == "0" else "fpu avx2"
    text = host._text
    host._text = lambda path: f"flags : {flags}\n" if path == "/proc/cpuinfo" else text(path)
    autocast = precision.autocast

    def noted(wanted: Any, device: Any) -> Any:
        (folder / f"{rank}-{wanted}").touch()
        return autocast(wanted, device)

    precision.autocast = noted
    main(sys.argv[2:])
