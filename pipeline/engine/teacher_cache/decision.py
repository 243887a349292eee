"""Decide whether caching a teacher's outputs saves time, from measured seconds and bytes."""

from dataclasses import dataclass

SPARED_BYTES = 1_000_000_000  # kept free on the disk for checkpoints
GB = 1e9


@dataclass(frozen=True)
class Decision:
    """Whether to cache.

    Attributes:
        store: whether to write the features to disk.
        reason: one line with the numbers that decided it.
    """

    store: bool
    reason: str


def caching_pays(
    *,
    tokens: int,
    bytes_per_token: float,
    passes: float,
    budget: float,
    free: float,
    teacher_seconds: float,
    write_seconds: float,
    read_seconds: float,
    what: str = "teacher features",
    always: bool = False,
) -> Decision:
    """Decide to cache if it fits on the disk and takes less time than computing again in every pass.

    Args:
        tokens: number of real tokens of all rows.
        bytes_per_token: bytes to store for one token.
        passes: number of passes over the rows, the one that stores included.
        budget: bytes that may be stored.
        free: bytes free on the disk.
        teacher_seconds: seconds that the teacher computes for one token.
        write_seconds: seconds to write one byte.
        read_seconds: seconds to read one byte.
        what: name of what is stored, for the reason.
        always: cache whatever fits, even if it saves no time.
    """
    needed, teacher = tokens * bytes_per_token, tokens * teacher_seconds
    write, read = needed * write_seconds, needed * read_seconds
    obstacle = (
        "runtime.teacher_store_gb is 0"
        if budget <= 0
        else "there is one pass over the rows only"
        if passes <= 1
        else f"{needed / GB:.3g} GB do not fit the {budget / GB:.3g} GB of runtime.teacher_store_gb"
        if needed > budget
        else f"{needed / GB:.3g} GB do not fit the {free / GB:.3g} GB that are free, "
        f"of which {SPARED_BYTES / GB:.3g} GB is left to checkpoints"
        if needed > free - SPARED_BYTES
        else f"a pass takes {teacher:.3g} s, writing it {write:.3g} s and reading it {read:.3g} s"
        if not always and write >= (passes - 1) * (teacher - read)
        else ""
    )
    if obstacle:
        return Decision(False, f"{what} recomputed: {obstacle}")
    why = "runtime.teacher_store is always" if always else f"saves about {passes - 1:.3g} x {teacher - read:.3g} s"
    return Decision(True, f"{what} stored: {needed / GB:.3g} GB of {budget / GB:.3g} GB, {why}")
