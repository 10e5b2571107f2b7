"""This process's hold on a running container: an open shell."""

from __future__ import annotations

from dataclasses import dataclass

from ..engines.protocol import Container, Engine, Exit, Watch
from ..model.errors import EngineFailed, ShellLost, StartFailed, hidden
from ..model.instance import Instance
from ..shell.shell import Shell
from .planner import ResolvedServer
from .readiness import LOG_LINES, died, masked

__tracebackhide__ = hidden

ENDS_WITHIN_S = 1.0
"""If a shell cannot be opened because the server died, its end is seen within this time."""

UNKNOWN = Exit(code=255, out_of_memory=False)


@dataclass(frozen=True)
class StartedServer:
    """A running container, and this process's hold on it.

    Args:
        container: As the engine described it.
        shell: The hold.
        origin: How it came: ``created``, ``restored``, ``restarted`` or ``attached``.
        watch: Evidence since its start, where this process started it.
    """

    container: Container
    shell: Shell
    origin: str
    watch: Watch | None = None


@dataclass(frozen=True)
class PendingServer:
    """A server that this process holds, ready or not.

    Args:
        instance: The server.
        origin: How it came, as above.
        start_s: How long it took until the container ran.
        ready_s: Not known yet.
        not_cached: Not known yet.
    """

    instance: Instance
    origin: str
    start_s: float
    ready_s: None = None
    not_cached: str = ""


def open_shell(
    engine: Engine, server: ResolvedServer, container: str = "", *, ephemeral: bool | None = None
) -> Shell:
    """Take hold of a server whose container runs.

    Args:
        engine: Where it runs.
        server: The server.
        container: The id of its container, where that is known.
        ephemeral: Whether the server ends with its last shell; by default unless it is kept.

    Raises:
        ShellLost: The server is ending.
    """
    return engine.shell(
        container or server.spec.name,
        environment=server.client_environment,
        ephemeral=not server.request.kept if ephemeral is None else ephemeral,
    )


def hold_started(
    engine: Engine,
    server: ResolvedServer,
    origin: str,
    watch: Watch,
    *,
    ephemeral: bool | None = None,
) -> StartedServer:
    """Take hold of a server that this process has just started.

    Raises:
        StartFailed: The server has ended.
    """
    try:
        shell = open_shell(engine, server, ephemeral=ephemeral)
    except (ShellLost, EngineFailed):
        ended = watch.ended(ENDS_WITHIN_S)
        if ended is None:
            raise
        raise _died(server, ended, watch) from None
    container = engine.find(server.spec.name)
    if container is None:
        shell.close()
        raise _died(server, watch.ended(ENDS_WITHIN_S) or UNKNOWN, watch)
    return StartedServer(container, shell, origin, watch)


def _died(server: ResolvedServer, ended: Exit, watch: Watch) -> StartFailed:
    log = masked(watch.log(LOG_LINES), [server.credentials.password])
    return died(server.database_type.name, ended, log)
