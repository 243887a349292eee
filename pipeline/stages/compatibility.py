"""What has to fit together before anything is trained: a model's positions, two tokenizers."""

from typing import TYPE_CHECKING

from pipeline.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from pipeline.models.load import ModelSource


def check_positions(model: "PreTrainedModel", length: int, setting: str) -> None:
    """Refuse sequences that a model has no positions for.

    Args:
        model: that is to read them.
        length: their greatest length in word pieces.
        setting: the configuration key that decides it.

    Raises:
        ModelError: names both numbers and the setting.
    """
    from pipeline.evaluation.latency import longest_input

    longest = longest_input(model)
    if length > longest:
        raise ModelError(
            f"sequences have {length} word pieces, the model {longest} positions: set {setting} to {longest}"
        )


def check_same_vocabulary(tokenizer: "PreTrainedTokenizerFast", teacher: "ModelSource") -> None:
    """Refuse a corpus in another vocabulary than its teacher's: the ids would mean other words.

    Raises:
        ModelError: the teacher's own tokenizer differs, or it has none.
    """
    from pipeline.data.tokenizer import load_tokenizer

    own = load_tokenizer(teacher.location, teacher.revision)
    if own.get_vocab() != tokenizer.get_vocab():
        raise ModelError(
            f"the vocabulary of the corpus ({len(tokenizer)} word pieces) is not that of the teacher "
            f"{teacher.location} ({len(own)}): leave corpus.tokenizer empty to use the teacher's"
        )
