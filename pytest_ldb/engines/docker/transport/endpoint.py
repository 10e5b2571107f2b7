"""The address of the engine, and of its published ports as this process reaches them."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ....model.errors import InvalidRequest

LOOPBACK = "127.0.0.1"

_MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True)
class Endpoint:
    """An engine's address.

    Args:
        url: As in ``DOCKER_HOST``; ``unix://…``, ``npipe://…``, ``tcp://…``, ``ssh://…``.
    """

    url: str

    @property
    def host(self) -> str:
        """The host whose ports the engine publishes; 127.0.0.1 if that is this machine."""
        parts = urlsplit(self.url)
        if parts.scheme in ("unix", "http+unix", "npipe", "") or not parts.hostname:
            return LOOPBACK
        return LOOPBACK if _is_here(parts.hostname) else parts.hostname

    @property
    def is_local(self) -> bool:
        """Whether ports published on the engine's loopback can be reached from this machine."""
        return self.host == LOOPBACK

    def reached_at(self, published: str) -> str:
        """Return the host at which this process reaches ports that are published on an address."""
        everywhere = not published or ipaddress.ip_address(published).is_unspecified
        return self.host if everywhere or not self.is_local else published

    def bind(self, chosen: str | None) -> str:
        """Return the address to publish on.

        Raises:
            InvalidRequest: The engine is on another machine, and no address was chosen.
        """
        if chosen is not None:
            return chosen
        if self.is_local:
            return LOOPBACK
        raise InvalidRequest(
            f"the engine at {self.url}",
            "it runs on another machine, whose loopback cannot be reached from here",
            remedy="Say which of its addresses to publish databases on: --ldb-bind ADDRESS "
            "(0.0.0.0 for all: every host that reaches that machine then reaches the databases).",
        )


def own_container() -> str | None:
    """Return the id, or its first digits, of the container that this process may be in.

    The host name is these digits only if none was chosen for the container.
    """
    # Docker and Podman create these files in their containers.
    if not any(Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv")):
        return None
    mounts = ""
    with suppress(OSError):
        mounts = _MOUNTS.read_text(errors="replace")
    return container_of_mounts(mounts) or os.environ.get("HOSTNAME") or socket.gethostname()


def container_of_mounts(mounts: str) -> str | None:
    """Return the container of a process, given its `mountinfo` (proc(5)); None if that is not said.

    Docker and Podman mount these files from a directory that is named after the container.
    """
    found = re.search(
        r"/([0-9a-f]{64})/(?:\S*/)?(?:hostname|hosts|resolv\.conf) "
        r"/etc/(?:hostname|hosts|resolv\.conf) ",
        mounts,
    )
    return found and found[1]


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
