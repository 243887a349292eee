"""Stage ``corpus``: text in; cleaned, deduplicated, tokenised and packed sequences out."""

from pipeline.checks.checks import Check
from pipeline.checks.known import Known
from pipeline.config.base import Config
from pipeline.config.corpus import CorpusConfig, TokenizerTraining
from pipeline.config.run import RunConfig
from pipeline.data.corpus.docstrings import package_dir, packages_identity
from pipeline.data.tasks.hub_folder import hub_folder
from pipeline.engine.inputs import expand, model_source
from pipeline.errors import ConfigError
from pipeline.store.entry import entry
from pipeline.store.hub import HubName
from pipeline.store.source import Source
from pipeline.store.stage import Stage


class CorpusStage(Config):
    """What the corpus depends on beside its text."""

    corpus: CorpusConfig


def corpus(config: RunConfig) -> Stage[CorpusStage]:
    """The corpus of a run, tokenised for its teacher."""
    wanted = config.corpus
    if wanted is None:
        raise ConfigError("there is no corpus in this configuration: set corpus.paths, corpus.hub or corpus.packages")
    inputs = {"text": _text_source(wanted)}
    if not isinstance(wanted.tokenizer, TokenizerTraining):
        location = wanted.tokenizer or config.teacher.model
        if location is None:
            raise ConfigError("no tokenizer for the corpus: set corpus.tokenizer, e.g. {vocab_size: 30000}")
        inputs["tokenizer"] = model_source(location, "main" if wanted.tokenizer else config.teacher.revision)
    # Where the files lie is no part of what they say.
    local = {"hub": ".", "hub_revision": "main"} if hub_folder(wanted.hub) else {}
    identity = wanted.model_copy(
        update={"paths": ("*",) if wanted.paths else (), "tokenizer": _trained(wanted), **local}
    )
    return Stage(
        "corpus", 2, CorpusStage(corpus=identity), inputs, entry("pipeline.engine.corpus"), cost="pipeline.cost.corpus"
    )


def checks(config: RunConfig) -> tuple[Check, ...]:
    """What shows before the corpus is built: packages and files that are there, text where they begin, a tokenizer."""
    wanted = config.corpus
    if wanted is None:
        return ()
    location = None if isinstance(wanted.tokenizer, TokenizerTraining) else wanted.tokenizer or config.teacher.model
    return (_check_text, *((lambda known: _check_tokenizer(known, location),) if location else ()))


def _check_text(known: Known) -> None:
    wanted = known.config.corpus
    assert wanted is not None, "asked of a run with a corpus"  # noqa: S101
    for package in wanted.packages:
        package_dir(package)
    if wanted.paths:
        from pipeline.data.corpus.text import check_beginnings  # it loads pyarrow

        check_beginnings(expand(wanted.paths), wanted.text_column)


def _check_tokenizer(known: Known, location: str) -> None:
    known.read_vocabulary(location)


def _trained(config: CorpusConfig) -> TokenizerTraining | None:
    return config.tokenizer if isinstance(config.tokenizer, TokenizerTraining) else None


def _text_source(config: CorpusConfig) -> Source:
    if config.packages:
        return Source(identity=packages_identity(config.packages))
    if folder := hub_folder(config.hub):
        return Source(paths=(str(folder),))
    if config.hub:
        return Source(
            paths=(config.hub, config.hub_revision),
            identity=f"datasets:{config.hub}:{config.hub_config}:{config.hub_split}@{config.hub_revision}",
            hub=HubName("dataset", config.hub, config.hub_revision),
        )
    return Source(paths=expand(config.paths))
