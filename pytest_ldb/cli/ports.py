"""Find the container or process that listens on a port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from ..engines.protocol import Engine
from ..model.errors import PortTaken


@contextmanager
def naming_the_listener(engine: Engine, subject: str) -> Iterator[None]:
    """Add the listener, and the server that needs the port, to the error for a port in use."""
    try:
        yield
    except PortTaken as error:
        listener = _container_on(engine, error.port) or _process_on(error.port)
        if listener is None:
            raise
        fact = f"port {error.port} is already in use by {listener}"
        raise PortTaken(
            subject, fact, evidence=error.evidence, remedy=error.remedy, port=error.port
        ) from error


def _container_on(engine: Engine, port: int) -> str | None:
    for container in engine.containers({}):
        if container.address is not None and container.address.port == port:
            return f"the container {container.name}"
    return None


def _process_on(port: int) -> str | None:
    """Search the processes of this machine; the process of another user may not be visible."""
    try:
        for connection in psutil.net_connections("inet"):
            here = connection.laddr and connection.laddr.port == port
            if here and connection.status == psutil.CONN_LISTEN:
                name = psutil.Process(connection.pid).name() if connection.pid else "a process"
                return f"{name} (process {connection.pid or 'of another user'})"
    except psutil.Error:
        pass
    return None
