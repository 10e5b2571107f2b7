"""Which engine the Docker SDK would use, found out without the SDK.

``DOCKER_HOST``, else the current context (Docker documentation, "Docker contexts"), else the usual
socket.
"""

from __future__ import annotations

import hashlib
import json
import os
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .endpoint import own_container
from .http import ask

SCHEME = "unix://"
DEFAULT = f"{SCHEME}/var/run/docker.sock"


def socket_of(url: str) -> str:
    """Return the path of a Unix socket."""
    return url.removeprefix(SCHEME)


def local_engine() -> str | None:
    """Return the address of the engine that the SDK would use, if it is a socket of this machine.

    If this process is in a container of that engine, ports published on the loopback cannot be
    reached. What to do then is left to the other runtime.
    """
    url = os.environ.get("DOCKER_HOST") or _context_host()
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


def _context_host() -> str | None:
    """Return the address in the current Docker context; None if that cannot be told."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or "~/.docker").expanduser()
    name = os.environ.get("DOCKER_CONTEXT") or _read(folder / "config.json").get("currentContext")
    if name in (None, "", "default"):
        return DEFAULT
    place = hashlib.sha256(str(name).encode()).hexdigest()
    context = _read(folder / "contexts/meta" / place / "meta.json")
    try:
        return str(context["Endpoints"]["docker"]["Host"])
    except (KeyError, TypeError):
        return None


def _read(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
