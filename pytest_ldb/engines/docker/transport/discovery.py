"""Which engine the Docker SDK would use, found out without the SDK."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

from .contexts import SCHEME, engine_address
from .endpoint import own_container
from .http import ask


def socket_of(url: str) -> str:
    """Return the path of a Unix socket."""
    return url.removeprefix(SCHEME)


def local_engine() -> str | None:
    """Return the address of the engine that the SDK would use, if it is a socket of this machine.

    If this process is in a container of that engine, ports published on the loopback cannot be
    reached. What to do then is left to the other engine.
    """
    url = engine_address()
    if url is None or not url.startswith("unix:///"):
        return None
    inside = own_container()
    if inside is None:
        return url
    try:
        there = ask(socket_of(url), "GET", f"/containers/{quote(inside)}/json")
    except OSError:
        return None
    return url if there.status == HTTPStatus.NOT_FOUND else None
