"""The address of the engine, found without the Docker SDK, which is slow to import.

``DOCKER_HOST``, else the current context (Docker documentation, "Docker contexts"), else the usual
socket.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....util.home import home

SOCKET, PIPE = "unix:///var/run/docker.sock", "npipe:////./pipe/docker_engine"
DEFAULT = SOCKET if hasattr(socket, "AF_UNIX") else PIPE


def engine_address(surroundings: Mapping[str, str] = os.environ) -> str | None:
    """Return the address of the engine to use; None if the current context has none.

    Args:
        surroundings: The variables that say where the user's directories are.
    """
    return os.environ.get("DOCKER_HOST") or _context_host(_configuration(surroundings))


def _configuration(surroundings: Mapping[str, str]) -> Path:
    """Return the directory of the Docker client's configuration, which need not exist."""
    given = surroundings.get("DOCKER_CONFIG")
    return Path(given) if given else (home(surroundings) or Path(os.devnull)) / ".docker"


def _context_host(folder: Path) -> str | None:
    """Return the address in the current Docker context; None if there is no such context."""
    name = os.environ.get("DOCKER_CONTEXT") or _read(folder / "config.json").get("currentContext")
    if name in (None, "", "default"):
        return DEFAULT
    # The Docker client names the folder of a context by the digest of its name.
    place = hashlib.sha256(str(name).encode()).hexdigest()
    context = _read(folder / "contexts/meta" / place / "meta.json")
    try:
        return str(context["Endpoints"]["docker"]["Host"])
    except (KeyError, TypeError):
        return None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
