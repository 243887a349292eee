"""Clean paragraphs, each met once.

A clean paragraph is Unicode in composed form (NFC) on one line, its words one space apart and nothing
invisible in it. Which ones were met before is remembered in a Bloom filter: memory is fixed, whatever the
size of the corpus, at the price of dropping a new paragraph now and then, at a rate that is known.
"""

import re
import unicodedata
from hashlib import blake2b

import numpy as np

NUM_HASHES = 7
"""Best for about 10 bits a paragraph, and close to it on both sides."""

# C0 and C1 controls that are not white space, soft hyphen, zero-width space, word joiner, byte order mark,
# lone surrogates (which no encoder takes) and the two non-characters.
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u200b\u2060\ufeff\ud800-\udfff\ufffe\uffff]")


def clean_paragraph(text: str) -> str:
    """The paragraph in NFC, without control characters, every run of white space one space."""
    text = _INVISIBLE.sub("", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.split())


class Deduplicator:
    """Remembers texts in a Bloom filter of ``memory_mb`` megabytes.

    A text that was met is always recognised. A new one is mistaken for a known one with probability
    ``false_positive_rate``. Hashes are 128-bit blake2b, so the answers are the same on every machine.
    """

    def __init__(self, memory_mb: float) -> None:
        self._num_bits = max(int(memory_mb * 2**20), 1) * 8
        self._bits = np.zeros(self._num_bits // 8, np.uint8).data  # zeros take no memory until set
        self._num_set = 0

    def seen(self, text: str) -> bool:
        """Whether the text was met before; it is from now on."""
        digest = blake2b(text.encode(), digest_size=16).digest()
        # Double hashing: an odd step visits different bits (Kirsch and Mitzenmacher 2006).
        start, step = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little") | 1
        bits, num_bits, known = self._bits, self._num_bits, True
        for i in range(NUM_HASHES):
            byte, bit = divmod((start + i * step) % num_bits, 8)
            if not bits[byte] >> bit & 1:
                bits[byte] |= 1 << bit
                self._num_set += 1
                known = False
        return known

    @property
    def false_positive_rate(self) -> float:
        """Probability that a new text would now be called known: (share of bits set) ** hashes."""
        return (self._num_set / self._num_bits) ** NUM_HASHES
