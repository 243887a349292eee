"""The server's process: it listens on a socket that is already open, and ends in order."""

import socket

import uvicorn
from fastapi import FastAPI

GRACE_SECONDS = 30


class Server(uvicorn.Server):
    """A server that answers what it has taken before it ends.

    Uvicorn ends an application once no request is open any more; so the requests that wait for others to join their
    batch are told first that nobody will.

    Args:
        app: of ``build_application``.
    """

    def __init__(self, app: FastAPI) -> None:
        config = uvicorn.Config(
            app, log_level="warning", timeout_graceful_shutdown=GRACE_SECONDS, server_header=False, lifespan="on"
        )
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nothing more, answer what was taken, then end."""
        self._app.state.batcher.close()
        await super().shutdown(sockets)
