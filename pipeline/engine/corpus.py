"""The work of stage ``corpus``: read, clean, deduplicate, tokenise and pack text."""

from collections.abc import Iterator

from transformers import PreTrainedTokenizerFast

from pipeline.config.corpus import CorpusConfig, TokenizerTraining
from pipeline.data.corpus.docstrings import docstring_corpus
from pipeline.data.corpus.files import build_corpus
from pipeline.data.corpus.text import documents, hub_documents
from pipeline.data.tokens.tokenizer import load_tokenizer, train_wordpiece
from pipeline.engine.inputs import model_input
from pipeline.store.stage import StageRun


def run(run: StageRun, *, corpus: CorpusConfig) -> None:
    """Write the packed sequences and their tokenizer.

    Args:
        run: this stage's execution; input ``text`` is the corpus, ``tokenizer`` a model's tokenizer unless one is
            trained.
        corpus: how text is cleaned, tokenised and packed.
    """
    if isinstance(corpus.tokenizer, TokenizerTraining):
        texts = (paragraph for document in _documents(corpus, run) for paragraph in document)
        tokenizer: PreTrainedTokenizerFast = train_wordpiece(
            texts, corpus.tokenizer.vocab_size, corpus.tokenizer.lowercase
        )
    else:
        source = model_input(run, "tokenizer")
        tokenizer = load_tokenizer(source.location, source.revision)
    statistics = build_corpus(
        _documents(corpus, run),
        tokenizer,
        run.output / "tokens",
        max_length=corpus.max_length,
        min_words=corpus.min_words,
        deduplicate=corpus.deduplicate,
        dedup_memory_mb=corpus.dedup_memory_mb,
        max_tokens=corpus.max_tokens,
        progress=run.progress,
    )
    tokenizer.save_pretrained(run.output / "tokenizer")
    statistics["length_histogram"] = {str(upper): n for upper, n in statistics["length_histogram"].items()}
    run.record(**statistics)


def _documents(config: CorpusConfig, run: StageRun) -> Iterator[list[str]]:
    if config.packages:
        return docstring_corpus(config.packages)
    paths = [str(path) for path in run.paths("text")]
    if config.hub:
        name, revision = (*paths, config.hub_revision)[:2]  # of a folder on this machine there is no revision
        return hub_documents(name, config.hub_split, config.text_column, revision, config.hub_config)
    return documents(paths, config.text_column)
