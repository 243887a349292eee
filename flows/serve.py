"""``tinybert serve``: a bundle behind HTTP, until Ctrl-C or SIGTERM; what was taken is answered before it ends."""

import os
from typing import Annotated

import typer

from flows.artifacts import STORE, StoreOption
from flows.later import Later
from flows.predict import BundleArgument, EngineOption, ThreadsOption, VariantOption
from flows.services.state import is_loopback
from pipeline.errors import ConfigError
from pipeline.export.requirements import TO_SERVE, require

API_KEY = "TINYBERT_API_KEY"
work_of_serve = Later("flows.shipping.serve:serve")


def serve(
    bundle: BundleArgument,
    host: Annotated[str, typer.Option(help=f"Address; beyond loopback {API_KEY} has to be set.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    engine: EngineOption = "onnx",
    variant: VariantOption = "float32",
    threads: ThreadsOption = None,
    batch_rows: Annotated[int, typer.Option(min=1, help="Rows of one forward pass.")] = 64,
    wait_ms: Annotated[
        float, typer.Option(min=0, help="How long a request waits for others when the model is free.")
    ] = 0.0,
    queue_rows: Annotated[int, typer.Option(min=1, help="Rows that may wait; beyond that the answer is 503.")] = 128,
    request_rows: Annotated[int, typer.Option(min=1, help="Rows of one request; beyond that it is 413.")] = 256,
    body_kb: Annotated[int, typer.Option(min=1, help="Size of a request; beyond that it is 413.")] = 1000,
    reload_seconds: Annotated[
        float, typer.Option(min=0, help="Between two looks whether REF stands for another bundle; 0 never looks.")
    ] = 2.0,
    store: StoreOption = STORE,
) -> None:
    """Answer POST /predict with a bundle; GET /healthz and /metrics beside it."""
    require(*TO_SERVE)
    key = os.environ.get(API_KEY) or None
    _check_key(host, key)
    work_of_serve(
        bundle,
        host=host,
        port=port,
        key=key,
        engine=engine,
        variant=variant,
        threads=threads,
        batch_rows=batch_rows,
        wait_ms=wait_ms,
        queue_rows=queue_rows,
        request_rows=request_rows,
        body_kb=body_kb,
        reload_seconds=reload_seconds,
        store=store,
    )


def _check_key(host: str, key: str | None) -> None:
    """Refuse to serve anybody who can reach the machine without a key."""
    if key is None and not is_loopback(host):
        raise ConfigError(
            f"{host} is reached from other machines: set {API_KEY} to a long random text, or leave --host"
        )
