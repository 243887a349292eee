"""Which bundle a person means: a folder, or a reference to an artifact of stage ``export``."""

from pathlib import Path

from pipeline.errors import ModelError
from pipeline.export.bundle import BUNDLE, OpenBundle, is_bundle, open_bundle
from pipeline.store.store import Store


def is_folder(name: str) -> bool:
    """Whether a name means a folder and not a reference: it is one, or is written as a path."""
    return is_bundle(Path(name)) or name.startswith(("/", "./", "../", "~"))


def find_bundle(name: str, store: Store) -> OpenBundle:
    """The bundle that ``name`` stands for now.

    Args:
        name: a folder, or a reference: ``export`` (the newest), ``export/v3``, a tag, the start of a fingerprint.
        store: where references are looked up.

    Raises:
        ModelError: the folder or the artifact holds no bundle.
        StoreError: no artifact is called so; says which are near.
    """
    if is_folder(name):
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise ModelError(f"there is no folder {name}: check the path")
        return open_bundle(folder)
    artifact = store.open(name)
    if not is_bundle(artifact.path):
        raise ModelError(f"{artifact.ref} holds no {BUNDLE}: make one with tinybert export {artifact.ref}")
    return open_bundle(artifact.path)
