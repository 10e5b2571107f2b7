"""The address of the engine, and of its published ports as this process reaches them."""

from __future__ import annotations

import ipaddress
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ....model.errors import InvalidRequest

LOOPBACK = "127.0.0.1"


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
    """Return the name under which the engine may know the container that this process is in."""
    # Docker and Podman create these files in their containers.
    if not any(Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv")):
        return None
    return os.environ.get("HOSTNAME") or socket.gethostname()


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
