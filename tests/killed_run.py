"""kill -9 in the middle of a stage, as a function: the chain runs in a child process that kills itself."""

import json
import os
import subprocess
import sys

from tiny_run import Tiny

# A chain in a forked child that kills itself: at the n-th sign of life of a stage, or between the end of its work
# and its commit (None). Forked, so that the libraries are loaded once.
KILLER = """
import json, os, signal, sys
from dataclasses import replace
from pathlib import Path
from pipeline.config.load import load_config
from pipeline.stages.graph import two_stage
from pipeline.store.materialize import materialize
from pipeline.store.store import Store
import pipeline.engine.inference, pipeline.engine.learner, pipeline.training.loop, pipeline.models.load

def die():
    os.kill(os.getpid(), signal.SIGKILL)

class Watched:
    def __init__(self, calls):
        self.calls = calls
    def update(self, done, total, **fields):
        self.calls -= 1
        if self.calls == 0:
            die()
    def note(self, message):
        pass

def run(victim, calls):
    config = load_config("tiny.yaml", [])
    for stage in two_stage(config):
        watched = Watched((calls or 0) if stage.name == victim else 0)
        if stage.name == victim and calls is None:
            work = stage.run
            stage = replace(stage, run=lambda settings, given: (work(settings, given), die()))
        materialize(stage, Store(config.runtime.store), config.runtime, watched)

for victim, calls in json.loads(sys.argv[1]):
    child = os.fork()
    if child == 0:
        try:
            run(victim, calls)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    there = sorted(path.parent.parent.name for path in Path("artifacts").glob("*/v*/manifest.json"))
    print(json.dumps([victim, os.WIFSIGNALED(status) and os.WTERMSIG(status), there]), flush=True)
"""


def killed(run: Tiny, deaths: list[tuple[str, int | None]]) -> list[tuple[str, int, list[str]]]:
    """Run the chain once for each death; the victim, the signal it died of, and the stages then in the store."""
    done = subprocess.run(
        [sys.executable, "-c", KILLER, json.dumps(deaths)],
        cwd=run.folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        capture_output=True,
        text=True,
        check=True,
    )
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]
