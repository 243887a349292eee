"""What a run will cost: pure arithmetic from what a rehearsal on a few rows took to what all rows will take.

A training costs so much a token, so much a step and so much an evaluation, and something once; other stages
cost so much a unit and something once. ``rehearsal`` measures, ``sizes`` says of how much there will be.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, inf

Mark = tuple[float, float]  # seconds since a stage began, units it had done by then


@dataclass(frozen=True)
class Machine:
    """What the disk under the runs can do, in seconds a byte."""

    write_seconds: float
    read_seconds: float


@dataclass(frozen=True)
class Pass:
    """One warm pass over the rows of a rehearsed training.

    Attributes:
        tokens: computed, padding included.
        steps: of the optimizer.
        seconds: of the pass, evaluations not counted; the two below are parts of it.
        teacher_seconds: the teacher's forward passes.
        optimizer_seconds: the optimizer's steps.
        score_seconds: one evaluation on the dev rows of the rehearsal.
        once_seconds: the rest of the stage: loading, saving, getting warm.
    """

    tokens: float
    steps: int
    seconds: float
    teacher_seconds: float = 0.0
    optimizer_seconds: float = 0.0
    score_seconds: float = 0.0
    once_seconds: float = 0.0


@dataclass(frozen=True)
class Load:
    """A training as it will be.

    Attributes:
        tokens: of a pass, computed.
        steps: of a pass.
        total_steps: of all passes.
        evaluations: on the dev rows.
        dev_share: dev rows over those of the rehearsal.
        checkpoint_bytes: of one checkpoint.
        checkpoint_every: seconds between two.
        checkpoint_share: at most this share of the time goes into them.
        stored_bytes: of the teacher's features, when the first pass will store them for the later ones; else 0.
        repeats: how often the training is done; what happens once happens once.
    """

    tokens: float
    steps: int
    total_steps: int
    evaluations: int = 0
    dev_share: float = 1.0
    checkpoint_bytes: float = 0.0
    checkpoint_every: float = inf
    checkpoint_share: float = 1.0
    stored_bytes: float = 0.0
    repeats: int = 1

    @property
    def passes(self) -> float:
        """Over the rows; not a whole number where a training stops after some steps."""
        return self.total_steps / max(1, self.steps)


def warm_pass(
    marks: Sequence[Mark], steps: int, tokens: float, speed: dict[str, float], seconds: float, evaluations: int
) -> Pass:
    """The second of two rehearsed passes, told from the times at which each step ended.

    Args:
        marks: of every step of both passes.
        steps: of one pass.
        tokens: of one pass, computed.
        speed: the record of the training.
        seconds: the whole stage took.
        evaluations: in each pass, the last of them at its end.
    """
    times = {round(done): time for time, done in marks}
    scored = speed.get("score_seconds", 0.0)
    one_score = scored / (2 * evaluations) if evaluations else 0.0
    # The evaluations of the first pass's end to just before the second's are between its marks.
    warm = max(0.0, times[2 * steps] - times[steps] - one_score * evaluations)
    spent = sum(speed.get(f"{use}_seconds", 0.0) for use in ("data", "teacher", "student", "loss", "optimizer"))
    share = {use: speed.get(f"{use}_seconds", 0.0) / spent if spent else 0.0 for use in ("teacher", "optimizer")}
    return Pass(
        tokens=tokens,
        steps=steps,
        seconds=warm,
        teacher_seconds=warm * share["teacher"],
        optimizer_seconds=warm * share["optimizer"],
        score_seconds=one_score,
        once_seconds=max(0.0, seconds - 2 * warm - scored - speed.get("checkpoint_seconds", 0.0)),
    )


def training_seconds(rehearsed: Pass, load: Load, machine: Machine) -> float:
    """Seconds that a training stage will take: steps, evaluations, checkpoints, and what happens once."""
    longer = load.tokens / max(1.0, rehearsed.tokens)
    optimizer = rehearsed.optimizer_seconds / max(1, rehearsed.steps)
    teacher = rehearsed.teacher_seconds * longer
    rest = (rehearsed.seconds - rehearsed.teacher_seconds - rehearsed.optimizer_seconds) * longer
    if load.stored_bytes:
        first = min(1.0, load.passes)
        taught = first * (teacher + load.stored_bytes * machine.write_seconds)
        taught += max(0.0, load.passes - 1) * load.stored_bytes * machine.read_seconds
    else:
        taught = load.passes * teacher
    stepping = load.passes * rest + taught + load.total_steps * optimizer
    scoring = load.evaluations * rehearsed.score_seconds * load.dev_share
    training = stepping + scoring + checkpoint_seconds(stepping + scoring, load, machine)
    return rehearsed.once_seconds + load.repeats * training


def checkpoint_seconds(training: float, load: Load, machine: Machine) -> float:
    """Seconds that go into the checkpoints of a training of so many seconds."""
    one = load.checkpoint_bytes * machine.write_seconds
    pause = max(load.checkpoint_every, one * (1 / load.checkpoint_share - 1))
    return one * num_checkpoints(training, pause + one)


def num_checkpoints(training: float, interval: float) -> int:
    """How many are written; the end of a training has none."""
    return floor(training / interval) if 0 < interval < inf else 0


def evaluations(per_epoch_steps: int, total_steps: int, per_epoch: float) -> int:
    """How often a training is scored: every so many steps, and at its end."""
    every = max(1, round(per_epoch_steps / per_epoch))
    return total_steps // every + (1 if total_steps % every else 0)


def seconds_to(marks: Sequence[Mark], seconds: float, units: float) -> float:
    """Seconds a stage will take for ``units``, from how it went on.

    The pace is that of the later half of its marks: caches are filled by then.

    Args:
        marks: at least one.
        seconds: the whole rehearsal took.
        units: there will be.
    """
    last_time, last_done = marks[-1]
    middle = marks[(len(marks) - 1) // 2]
    pace = (last_time - middle[0]) / (last_done - middle[1]) if last_done > middle[1] else last_time / last_done
    return max(0.0, seconds + (units - last_done) * pace)


def linear(small: Mark, large: Mark, units: float) -> float:
    """Seconds for ``units`` by the line through two measurements, each (seconds, units).

    Noise may let the smaller one take longer; then all of the larger counts as growing with its units.
    """
    growth = (large[0] - small[0]) / (large[1] - small[1]) if large[1] > small[1] else 0.0
    if growth <= 0:
        growth = large[0] / max(1.0, large[1])
    return max(0.0, large[0] + (units - large[1]) * growth)


@dataclass(frozen=True)
class StageCost:
    """What one stage will take.

    Attributes:
        stage: its name.
        action: reuse, resume or run, as ``plan`` says.
        seconds: wall time.
        disk_bytes: what stays in the store.
        scratch_bytes: what lies beside it while it runs.
        peak_bytes: of memory, the process's whole; a long run holds somewhat more, as its memory is in more pieces.
        basis: what the figures rest on, in a few words.
    """

    stage: str
    action: str
    seconds: float = 0.0
    disk_bytes: float = 0.0
    scratch_bytes: float = 0.0
    peak_bytes: float = 0.0
    basis: str = ""


@dataclass(frozen=True)
class RunCost:
    """What a run will take: its stages, and what the process costs around them."""

    stages: tuple[StageCost, ...]
    start_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """Wall time of the whole run."""
        return self.start_seconds + sum(stage.seconds for stage in self.stages)

    @property
    def disk_bytes(self) -> float:
        """What the store grows by."""
        return sum(stage.disk_bytes for stage in self.stages)

    @property
    def peak_disk_bytes(self) -> float:
        """The most it holds more than now at any time."""
        held = peak = 0.0
        for stage in self.stages:
            peak = max(peak, held + stage.disk_bytes + stage.scratch_bytes)
            held += stage.disk_bytes
        return peak

    @property
    def peak_bytes(self) -> float:
        """The most memory that any stage takes."""
        return max((stage.peak_bytes for stage in self.stages), default=0.0)
