"""Who makes the shards of a stage that comes in shards; no part of any result's identity."""

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from pipeline.config.base import Config


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
