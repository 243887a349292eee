"""Prefect flows that read like the paper, and the command line in front of them.

``python -m`` puts the folder where the user stands before everything that is installed. A folder of theirs that is
called ``pipeline`` or ``tasks`` would be taken for ours; that is said here, before anything of it is imported.
"""

from importlib.util import find_spec
from pathlib import Path


def _refuse_shadows() -> None:
    ours = Path(__file__).resolve().parents[1]
    for name in ("pipeline", "tasks"):
        found = find_spec(name)
        places = [*(found.submodule_search_locations or ()), found.origin] if found is not None else []
        place = next((Path(one).resolve() for one in places if one), None)
        if place is not None and not place.is_relative_to(ours / name):
            # With a name, python -m makes one line of it.
            raise ImportError(
                f"{place} hides the package {name!r} of tinybert: start the command tinybert (torchrun --no-python "
                "tinybert run ...) instead of python -m flows.cli, or go to another folder",
                name=__name__,
            )


_refuse_shadows()
