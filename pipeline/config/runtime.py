"""How a run is executed. Nothing here is part of an artifact's identity: results must not depend on it."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from pipeline.config.base import Config


class Runtime(Config):
    """Where and how to run: store, device, threads, checkpoint interval."""

    store: str = Field("artifacts", title="Store", description="Folder that keeps every artifact.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", title="Device")
    num_threads: PositiveInt | None = Field(
        None, title="CPU threads", description="Threads torch may use; all cores when empty."
    )
    checkpoint_seconds: PositiveFloat = Field(
        60.0, title="Checkpoint interval (s)", description="Training time between two checkpoints."
    )
    offline: bool = Field(False, title="Offline", description="Never ask the model hub; folders only.")
