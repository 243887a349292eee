"""The vocabulary of a saved tokenizer, from its file alone; neither the tokenizers library nor torch is loaded."""

import json
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import ModelError

_TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json"),
    *("spiece.model", "sentencepiece.bpe.model", "tokenizer.model"),
)


def stored_vocabulary(folder: Path) -> Mapping[str, int] | None:
    """Return word piece -> id, added tokens included; None if no ``tokenizer.json`` holds it.

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


def require_tokenizer(source: str) -> None:
    """Refuse a folder without any tokenizer file; a hub id is not checked.

    Raises:
        ModelError: there is none.
    """
    folder = Path(source).expanduser()
    if folder.is_dir() and not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise ModelError(f"{source}: no tokenizer in this folder: save the model's tokenizer there")


def check_ids(vocabulary: Mapping[str, int], vocab_size_of_model: int) -> None:
    """Refuse word pieces that a model's embedding has no row for.

    Raises:
        ModelError: an id is too large; names the largest id and the number of rows of the embedding.
    """
    greatest = max(vocabulary.values())
    if greatest >= vocab_size_of_model:
        raise ModelError(
            f"the tokenizer has ids up to {greatest}, the model's embedding {vocab_size_of_model} rows: "
            "use the tokenizer the model was trained with"
        )
