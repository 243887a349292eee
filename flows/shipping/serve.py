"""A bundle behind HTTP, until Ctrl-C or SIGTERM; what was taken is answered before it ends."""

import signal

from flows.shipping.engines import open_scorer
from pipeline.errors import ConfigError
from pipeline.export.locate import find_bundle, is_folder
from pipeline.export.serving.application import ServerSettings, build_application
from pipeline.export.serving.batcher import BatchLimits
from pipeline.export.serving.requests import RequestLimits
from pipeline.export.serving.served import Served
from pipeline.export.serving.server import Server, open_socket
from pipeline.store.store import Store


def serve(
    bundle: str,
    *,
    host: str,
    port: int,
    key: str | None,
    engine: str,
    variant: str,
    threads: int | None,
    batch_rows: int,
    wait_ms: float,
    queue_rows: int,
    request_rows: int,
    body_kb: int,
    reload_seconds: float,
    store: str,
) -> None:
    """Answer POST /predict until a signal ends it.

    Args:
        bundle: a reference to an artifact of stage ``export``, or a folder with a bundle.
        host: address to listen on.
        port: 0 takes a free one.
        key: that a request has to bring; None lets everybody ask.
        engine: ``onnx`` or ``torch``.
        variant: of the ONNX files, ``float32`` or ``int8``.
        threads: CPU threads; None takes all cores.
        batch_rows: rows of one forward pass, at most.
        wait_ms: milliseconds that a request waits for others when the model is free.
        queue_rows: rows that may wait.
        request_rows: rows of one request, at most.
        body_kb: kilobytes of one request, at most.
        reload_seconds: between two looks whether ``bundle`` stands for another one; 0 never looks.
        store: folder of the store.

    Raises:
        ConfigError: the address cannot be listened on.
    """
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
