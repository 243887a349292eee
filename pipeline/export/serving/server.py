"""The server's process: it listens on a socket that is already open, and ends in order."""

import socket

import uvicorn
from fastapi import FastAPI

GRACE_SECONDS = 30
BACKLOG = 2048


def open_socket(host: str, port: int) -> socket.socket:
    """A socket that accepts connections; a name takes its first address, port 0 a free one.

    Its protocol is named, because asyncio sends without delay on such sockets only: an answer, which is written in two
    pieces, would otherwise wait 40 ms for the client to acknowledge the first.

    Raises:
        OSError: the address does not exist, or is taken.
    """
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    found = socket.socket(family, kind, socket.IPPROTO_TCP)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(BACKLOG)
    except OSError:
        found.close()
        raise
    return found


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
