"""Optional packages that a configuration needs, checked before a run begins rather than hours into it."""

from importlib.util import find_spec

from pipeline.config.augmentation import AugmentationConfig
from pipeline.config.augmenters import children
from pipeline.config.runtime import Workers
from pipeline.errors import ConfigError


def require_extras(config: AugmentationConfig) -> None:
    """Refuse an augmentation whose optional packages are not installed.

    Raises:
        ConfigError: names the package and how to install it.
    """
    if config.words.segmentation == "jieba" and find_spec("jieba") is None:
        raise ConfigError(
            "augmentation.words.segmentation is jieba, which is not installed: pip install 'tinybert-pipeline[chinese]'"
        )
    if any(child.name == "same_pos" for child in children(config.augmenters)) and find_spec("textblob") is None:
        raise ConfigError(
            "augmenter same_pos tags words with textblob, which is not installed: pip install 'tinybert-pipeline[pos]'"
        )


def require_workers(workers: Workers) -> None:
    """Refuse workers whose optional packages are not installed.

    Raises:
        ConfigError: they need Dask, which is not installed.
    """
    if workers.kind in ("processes", "dask") and find_spec("prefect_dask") is None:
        raise ConfigError(
            f"runtime.workers.kind is {workers.kind!r}, which needs Dask: pip install 'tinybert-pipeline[dask]', "
            "or choose threads or here"
        )
