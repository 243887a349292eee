"""Whether what a guide shows of its rows is worth storing, from measured seconds and bytes."""

from dataclasses import dataclass

SPARED_BYTES = 1_000_000_000  # left free on the disk, for checkpoints
GB = 1e9


@dataclass(frozen=True)
class Decision:
    """Whether to store, and why, in one line with figures."""

    store: bool
    reason: str


def decide(
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
    """Store what the teacher says if it fits, and if writing it once and reading it later takes less time.

    Args:
        tokens: real tokens of all rows.
        bytes_per_token: what is stored of one.
        passes: over the rows, the one that stores included.
        budget: bytes that may be stored.
        free: bytes free on the disk.
        teacher_seconds: the teacher's, a token.
        write_seconds: a byte.
        read_seconds: a byte.
        what: is stored, for the reason.
        always: store what fits, however long it takes.
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
