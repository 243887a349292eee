"""How a run is executed. Nothing here is part of an artifact's identity: results must not depend on it."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, field_validator, model_validator

from pipeline.config.base import Config


class Retention(Config):
    """How many versions stay, and for how long what was left behind."""

    keep: PositiveInt = Field(
        3, title="Versions kept", description="Of each stage; tagged ones and what they need stay."
    )
    days: NonNegativeFloat = Field(
        7.0,
        title="Days kept",
        description="How long abandoned work, teacher features and damaged artifacts stay after their last change.",
    )


class Workers(Config):
    """Where shards are made: in the run's own process, or by several workers at once."""

    kind: Literal["here", "threads", "processes", "dask"] = Field(
        "here",
        title="Kind",
        description="Processes are Dask's, on this machine; dask: a cluster that is there (both need the extra dask).",
    )
    count: PositiveInt = Field(2, title="How many", description="Of threads or processes; a cluster has its own.")
    address: str | None = Field(
        None, title="Scheduler", description="Of the Dask cluster, tcp://host:8786; its workers see the same store."
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Workers":
        if (self.kind == "dask") != bool(self.address):
            msg = f"kind is {self.kind!r} and address {self.address!r}: a scheduler's address goes with kind dask"
            raise ValueError(msg)
        return self


class Runtime(Config):
    """Where and how to run: store, device, threads, checkpoint interval."""

    store: str = Field("artifacts", title="Store", description="Folder that keeps every artifact.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", title="Device")
    exclusive_device: bool = Field(
        True, title="Device alone", description="Wait while another run on this machine trains on the same device."
    )
    num_threads: PositiveInt | None = Field(
        None, title="CPU threads", description="Threads torch may use; all cores when empty."
    )
    checkpoint_seconds: PositiveFloat = Field(
        60.0, title="Checkpoint interval (s)", description="Training time between two checkpoints."
    )
    checkpoint_share: float = Field(
        0.05, gt=0, le=1, title="Time for checkpoints", description="At most this share of the training time."
    )
    retention: Retention | None = Field(
        None,
        title="Retention",
        description="Prune the store so after each run that did something; null keeps everything.",
    )
    teacher_store_gb: NonNegativeFloat = Field(
        10.0,
        title="Teacher store (GB)",
        description="Disk for teacher features that later epochs and runs read; 0 recomputes them.",
    )
    teacher_store: Literal["auto", "always"] = Field(
        "auto",
        title="When to store the teacher",
        description="auto: where it saves time, as measured in the first batches; always: wherever it fits.",
    )
    compile: Literal["auto", "on", "off"] = Field(
        "auto", title="Compile", description="Compile the models' graphs; auto: on GPUs that can, never on a CPU."
    )
    workers: Workers = Field(Workers(), title="Workers", description="Who makes the shards of the augmentation.")
    offline: bool = Field(False, title="Offline", description="Never ask the model hub; folders only.")

    @field_validator("compile", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        # YAML reads the words on and off as true and false
        return {True: "on", False: "off"}[value] if isinstance(value, bool) else value
