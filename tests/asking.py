"""One question over HTTP, with or without a password."""

import httpx


def ask(url: str, auth: str | None = None, body: object = None) -> httpx.Response:
    """The answer, whatever its status; a body is posted as JSON.

    Args:
        url: where.
        auth: user:password.
        body: what is posted; without one it is a GET.
    """
    user, _, password = (auth or "").partition(":")
    return httpx.request(
        "GET" if body is None else "POST",
        url,
        json=body,
        auth=(user, password) if auth else None,
        trust_env=False,
        timeout=30,
    )
