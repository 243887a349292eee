"""The vocabulary of a saved tokenizer, read from its file: neither the tokenizers library nor torch is loaded."""

import json
from collections.abc import Mapping
from pathlib import Path

from pipeline.data.tokens.tokenizer import require_tokenizer
from pipeline.errors import ModelError


def stored_vocabulary(folder: Path) -> Mapping[str, int] | None:
    """Word piece -> id, added tokens included; None where no ``tokenizer.json`` says it.

    Raises:
        ModelError: the folder has no tokenizer, or a damaged one.
    """
    require_tokenizer(str(folder))
    path = folder / "tokenizer.json"
    try:
        stored = json.loads(path.read_bytes())
        pieces = stored["model"].get("vocab")
        if isinstance(pieces, list):  # Unigram: pairs of a piece and its score, numbered in their order
            pieces = {str(piece): number for number, (piece, _) in enumerate(pieces)}
        added = {str(token["content"]): int(token["id"]) for token in stored.get("added_tokens") or ()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{folder}: its tokenizer.json is damaged ({' '.join(str(error).split())[:120]}): "
            "save the model's tokenizer there again"
        ) from error
    return None if pieces is None else {**pieces, **added}
