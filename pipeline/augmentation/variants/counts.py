"""What happened to the rows of an augmentation, in numbers that add up over shards."""

from collections import Counter
from collections.abc import Callable

from pipeline.augmentation.candidates.table import Candidates
from pipeline.augmentation.variants.draw import TEXT, TEXT_PAIR, Row, Variant


def count(
    rows: list[Row], variants: list[Variant], candidates: dict[str, Candidates], num_words: Callable[[str], int]
) -> Counter[str]:
    """What happened to some rows, in numbers that add up over shards.

    Args:
        rows: That were augmented.
        variants: Of them.
        candidates: Of their texts.
        num_words: How many words of a text may change.
    """
    counts = Counter(rows=len(rows), variants=len(variants))
    counts["unchanged_rows"] = len({row.row_id for row in rows} - {made.origin_id for made in variants})
    exposed = {}
    for row in rows:
        for column, text in ((TEXT, row.text), (TEXT_PAIR, row.text_pair)):
            if text is None:
                continue
            found = candidates[text]
            exposed[row.row_id, column] = num_words(text)
            counts["words"] += sum(map(bool, found.sentence.words))
            counts["replaceable_words"] += len(found.sentence.replaceable)
            counts["multi_piece_words"] += found.num_multi_piece
            counts["words_beyond_positions"] += found.num_beyond
            counts["words_without_candidates"] += len(found.sentence.replaceable) - len(found.words) - found.num_beyond
    counts["replaced_words"] = sum(made.num_changed for made in variants)
    counts["exposed_words"] = sum(exposed[made.origin_id, made.column] for made in variants)
    return counts


def statistics(counts: Counter[str]) -> dict[str, float]:
    """Counts, and the shares they give.

    replaceable_share: replaceable among all words; multi_piece_share: words of several pieces among the
    replaceable; replacement_rate: changed words for each word that may change, over the variants written: each word
    with candidates, or every word where other augmenters than tinybert are listed.
    failed_draws and protected_draws: texts that passed an augmenter unchanged, see ``flow.Flow``.
    """

    def share(part: str, whole: str) -> float:
        return counts[part] / counts[whole] if counts[whole] else 0.0

    kept = ("rows", "variants", "unchanged_rows", "words", "replaceable_words", "multi_piece_words")
    lost = ("words_beyond_positions", "words_without_candidates", "failed_draws", "protected_draws")
    return {name: counts[name] for name in (*kept, *lost)} | {
        "replaceable_share": share("replaceable_words", "words"),
        "multi_piece_share": share("multi_piece_words", "replaceable_words"),
        "replacement_rate": share("replaced_words", "exposed_words"),
    }
