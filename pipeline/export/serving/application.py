"""The HTTP face of a bundle: POST /predict, GET /healthz, GET /metrics."""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from pipeline.export.serving.batcher import Batcher, BatchLimits, ClosingError, QueueFullError
from pipeline.export.serving.metrics import CONTENT_TYPE, ServerMetrics
from pipeline.export.serving.requests import RefusedError, RequestLimits, parse_body, read_body
from pipeline.export.serving.served import Served, follow

RETRY_SECONDS = "1"


@dataclass(frozen=True)
class ServerSettings:
    """How a server behaves.

    Args:
        batches: limits of batches and of the queue.
        requests: limits of a request.
        api_key: that /predict and /metrics ask for; None for anybody.
        reload_seconds: between two looks whether the served name stands for another bundle; None never looks.
    """

    batches: BatchLimits
    requests: RequestLimits
    api_key: str | None = None
    reload_seconds: float | None = None


def build_application(served: Served, settings: ServerSettings) -> FastAPI:
    """The application, which answers its batches as long as it runs; ``state.batcher`` closes its queue."""
    metrics = ServerMetrics()
    batcher = Batcher(served.answer, settings.batches, metrics.batches.observe)
    metrics.watch_queue(lambda: batcher.waiting_rows)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        metrics.bundle.info(_facts(served))
        answering = asyncio.create_task(batcher.run())
        reloading = None
        if settings.reload_seconds is not None:
            reloading = asyncio.create_task(follow(served, settings.reload_seconds, reloaded))
        yield
        if reloading is not None:
            reloading.cancel()
            with suppress(asyncio.CancelledError):
                await reloading
        batcher.close()
        await answering

    def reloaded(changed: bool) -> None:
        metrics.reloads.labels("taken up" if changed else "refused").inc()
        metrics.bundle.info(_facts(served))

    app = FastAPI(title="tinybert", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.batcher = batcher

    @app.post("/predict")
    async def predict(request: Request) -> Response:
        began = time.perf_counter()
        try:
            _authorise(request, settings.api_key)
            body = await read_body(request.stream(), settings.requests)
            rows, single = parse_body(body, settings.requests, pair=served.bundle.facts.pair)
            found = await _answered(batcher, rows)
        except RefusedError as error:
            metrics.requests.labels(str(int(error.status))).inc()
            return _refusal(error)
        metrics.requests.labels("200").inc()
        metrics.rows.inc(len(found))
        metrics.cut.inc(sum("cut" in answer for answer in found))
        metrics.seconds.observe(time.perf_counter() - began)
        return JSONResponse(found[0] if single else {"predictions": found})

    @app.get("/healthz")
    async def healthz() -> Response:
        return JSONResponse({"status": "ok", **_facts(served)})

    @app.get("/metrics")
    async def show_metrics(request: Request) -> Response:
        try:
            _authorise(request, settings.api_key)
        except RefusedError as error:
            return _refusal(error)
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    return app


async def _answered(batcher: Batcher, rows: list[Any]) -> list[Any]:
    try:
        return await batcher.submit(rows) if rows else []
    except QueueFullError as error:
        raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "the queue is full: ask again in a moment") from error
    except ClosingError as error:
        raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "the server ends: ask again in a moment") from error
    except Exception as error:  # the log has it in full
        raise RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, "these rows could not be answered") from error


def _authorise(request: Request, api_key: str | None) -> None:
    """Refuse a request without the key; comparing takes the same time whatever is sent."""
    if api_key is None:
        return
    sent = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(sent.encode(), api_key.encode()):
        raise RefusedError(HTTPStatus.UNAUTHORIZED, "send the header Authorization: Bearer KEY")


def _refusal(error: RefusedError) -> Response:
    headers = {}
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = RETRY_SECONDS
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": str(error)}, int(error.status), headers)


def _facts(served: Served) -> dict[str, str]:
    """What names the bundle that answers."""
    bundle = served.bundle
    place = bundle.folder.resolve()
    return {"name": bundle.facts.name, "task": bundle.facts.task, "bundle": f"{place.parent.name}/{place.name}"}
