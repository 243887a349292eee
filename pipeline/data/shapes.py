"""Padded lengths rounded up to few shapes, for engines that prefer to see a shape again.

Four shapes between a power of two and the next: what is added stays a small share of the length.
"""


def round_up(length: int, longest: int | None = None) -> int:
    """The next length that is padded to: a multiple of 2 up to 16, of 4 up to 32, of 8 up to 64, and so on.

    Args:
        length: of the longest row of a batch, 1 or more.
        longest: nothing is padded beyond it, such as the positions a model has; rows longer than that stay.
    """
    step = max(2, 1 << (length - 1).bit_length() >> 3)
    rounded = -(-length // step) * step
    return rounded if longest is None else min(rounded, max(longest, length))
