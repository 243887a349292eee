"""Two processes, one configuration, one store: each stage is done once, whoever comes first."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_run import STAGES, tiny

CHAIN = """
import json, sys
from pipeline.config.load import load_config
from pipeline.progress import Silent
from pipeline.stages.graph import two_stage
from pipeline.store.materialize import materialize
from pipeline.store.store import Store

config = load_config("tiny.yaml", [])
print("ready", flush=True)
sys.stdin.readline()
for stage in two_stage(config):
    outcome = materialize(stage, Store(config.runtime.store), config.runtime, Silent())
    print(json.dumps([stage.name, outcome.state, outcome.artifact.ref]), flush=True)
"""


@pytest.mark.slow
def test_two_runs_at_once_do_each_stage_once(tmp_path: Path) -> None:
    run = tiny(tmp_path)
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", CHAIN],
            cwd=run.folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for one in runs:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in runs:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    said = [one.communicate()[0] for one in runs]
    assert [one.returncode for one in runs] == [0, 0]
    first, second = ({name: (state, ref) for name, state, ref in map(json.loads, text.splitlines())} for text in said)
    for stage in STAGES:
        assert {first[stage][0], second[stage][0]} == {"completed", "reused"}
        assert first[stage][1] == second[stage][1]
    assert run.versions() == {stage: [1] for stage in STAGES}
    assert not [line for artifact in run.store.list() for line in run.store.verify(artifact)]
    assert not list(run.store.layout.works.iterdir())
