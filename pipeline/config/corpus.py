"""The corpus: which text, how it is cleaned, how it is cut into sequences."""

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from pipeline.config.base import Config


class TokenizerTraining(Config):
    """A WordPiece vocabulary of our own, learned from the corpus itself."""

    vocab_size: PositiveInt = Field(30_000, title="Vocabulary size")
    lowercase: bool = Field(True, title="Lower-case the text")


class CorpusConfig(Config):
    """Unlabelled text for general distillation and pretraining; exactly one source."""

    paths: tuple[str, ...] = Field((), title="Files", description="Globs of .txt, .jsonl, .parquet (.gz, .zst).")
    hub: str | None = Field(None, title="Datasets-hub name")
    hub_config: str | None = Field(None, title="Configuration on the hub")
    hub_split: str = Field("train", title="Split on the hub")
    hub_revision: str = Field("main", title="Revision on the hub")
    packages: tuple[str, ...] = Field((), title="Packages", description="Docstrings of installed packages.")
    text_column: str = Field("text", title="Text column", description="Of .jsonl and .parquet files.")
    tokenizer: str | TokenizerTraining | None = Field(
        None, title="Tokenizer", description="Folder or hub id, a vocabulary to train, or the teacher's when empty."
    )
    max_length: PositiveInt = Field(128, ge=8, title="Sequence length (word pieces)")
    min_words: NonNegativeInt = Field(3, title="Shortest paragraph (words)")
    deduplicate: bool = Field(True, title="Drop repeated paragraphs")
    dedup_memory_mb: PositiveInt = Field(64, title="Memory for deduplication (MB)")
    max_tokens: PositiveInt | None = Field(None, title="Stop after this many word pieces")

    @model_validator(mode="after")
    def _one_source(self) -> "CorpusConfig":
        given = [name for name in ("paths", "hub", "packages") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"a corpus has one source, got {given or 'none'}: set exactly one of paths, hub, packages")
        return self
