"""``tinybert serve``: a bundle behind HTTP, until Ctrl-C or SIGTERM; what was taken is answered before it ends."""

import ipaddress
import os
import signal
from typing import Annotated

import typer

from flows.artifacts import STORE, StoreOption
from flows.predict import BundleArgument, EngineOption, ThreadsOption, VariantOption
from pipeline.errors import ConfigError

API_KEY = "TINYBERT_API_KEY"


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
    from pipeline.export.requirements import TO_SERVE, require

    require(*TO_SERVE)
    key = os.environ.get(API_KEY) or None
    _check_key(host, key)

    from flows.predict import open_scorer
    from pipeline.export.locate import find_bundle, is_folder
    from pipeline.export.serving.application import ServerSettings, build_application
    from pipeline.export.serving.batcher import BatchLimits
    from pipeline.export.serving.requests import RequestLimits
    from pipeline.export.serving.served import Served
    from pipeline.export.serving.server import Server, open_socket
    from pipeline.store.store import Store

    try:
        listening = open_socket(host, port)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port} ({error.strerror}): choose another --host or --port"
        ) from error
    keeper = Store(store)
    served = Served(lambda: find_bundle(bundle, keeper), lambda found: open_scorer(found, engine, variant, threads))
    settings = ServerSettings(
        BatchLimits(batch_rows, wait_ms / 1000, queue_rows),
        RequestLimits(body_kb * 1000, request_rows),
        key,
        reload_seconds if reload_seconds and not is_folder(bundle) else None,
    )
    server = Server(build_application(served, settings))
    for number in (signal.SIGINT, signal.SIGTERM):  # the server repeats the signal once it has ended in order
        signal.signal(number, lambda _number, _frame: None)
    address, number = listening.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else address
    print(f"{served.bundle.folder} answers on http://{shown}:{number}/predict; Ctrl-C ends it", flush=True)  # noqa: T201
    server.run(sockets=[listening])


def _check_key(host: str, key: str | None) -> None:
    """Refuse to serve anybody who can reach the machine without a key."""
    if key is None and not _is_loopback(host):
        raise ConfigError(
            f"{host} is reached from other machines: set {API_KEY} to a long random text, or leave --host"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
