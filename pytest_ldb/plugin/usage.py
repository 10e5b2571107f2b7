"""Which servers a run used, and what they took: each process tells its part, one adds them up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..model.request import container_name

if TYPE_CHECKING:
    from ..lifecycle.hold import PendingServer
    from ..lifecycle.lease import Lease
    from .session import Session

LAST_MOMENT_S = 2.0
"""Other workers wait for a server that one has begun to start before it was done with its tests."""

STARTED = ("created", "restored", "restarted")
"""How a server comes to the process that knows how long its start took."""

COMMAND_NEEDS = ("click", "psutil", "rich")
"""What the extra `cli` brings, without which the command `pytest-ldb` does not work."""


@dataclass(frozen=True, kw_only=True)
class Use:
    """What one process knows of a server that it used, or all processes together.

    Args:
        type: The name of its type.
        name: Tells it from all others.
        image: The reference it runs; empty for one that existed.
        origin: How it came: ``created``, ``restored``, ``restarted``, ``attached``, ``existing``.
        start_s: How long it took until the container ran.
        ready_s: How long it took from there until the server answered; None if it did not yet.
        pull_s: How long its image was waited for; None if that was there.
        templates_s: How long each template took to make.
        waits: How many tests waited how many seconds for a fresh database.
        processes: How many processes had tests that used it.
        kept: Whether it outlives the run because that was asked for.
        kept_failed: Whether it does because of tests that failed.
    """

    type: str
    name: str
    image: str
    origin: str
    start_s: float
    ready_s: float | None
    pull_s: float | None = None
    templates_s: list[float] = field(default_factory=list)
    waits: Mapping[float, int] = field(default_factory=dict)
    processes: int = 1
    kept: bool = False
    kept_failed: bool = False

    @property
    def container(self) -> str:
        """The name of its container; empty if it is not one of ours."""
        return "" if self.origin == "existing" else container_name(self.name)

    @property
    def ended_by(self) -> str:
        """The command that ends it; empty if it ends by itself, or is not ours to end."""
        if not (self.kept or self.kept_failed):
            return ""
        if all(map(find_spec, COMMAND_NEEDS)):
            return f"pytest-ldb delete {self.name}"
        return f"docker rm -fv {self.container}"

    @property
    def fresh_databases(self) -> int:
        """How many tests got one."""
        return sum(self.waits.values())

    @property
    def median_wait_s(self) -> float | None:
        """How long such a test waited, in the middle; None if there was none."""
        waits = sorted(Counter(self.waits).elements())
        return waits[len(waits) // 2] if waits else None

    def and_of(self, other: Use) -> Use:
        """Return what both know; about its start the one that started it knows better."""
        return replace(
            other if other.origin in STARTED else self,
            ready_s=_longer(self.ready_s, other.ready_s),
            pull_s=_longer(self.pull_s, other.pull_s),
            templates_s=[*self.templates_s, *other.templates_s],
            waits=dict(Counter(self.waits) + Counter(other.waits)),
            processes=self.processes + other.processes,
            kept_failed=self.kept_failed or other.kept_failed,
        )


def used_servers(session: Session, patience_s: float) -> list[dict[str, Any]]:
    """Return what this process knows of the servers that it used, as plain values.

    Args:
        session: The process's part in the run.
        patience_s: The most time to wait for servers that are about to be started.
    """
    unready = session.unready(patience_s)
    servers: list[Lease | PendingServer] = [*session.held, *unready]
    return [asdict(_use(server, session)) for server in servers]


def added_up(told: Iterable[dict[str, Any]]) -> list[Use]:
    """Return what all processes know, a value for each server."""
    uses: dict[str, Use] = {}
    for use in (Use(**values) for values in told):
        uses[use.name] = uses[use.name].and_of(use) if use.name in uses else use
    return sorted(uses.values(), key=lambda use: (use.type, use.name))


def _longer(one: float | None, other: float | None) -> float | None:
    return max((seconds for seconds in (one, other) if seconds is not None), default=None)


def _use(server: Lease | PendingServer, session: Session) -> Use:
    type_name, name = server.instance.database_type, server.instance.name
    exists = server.origin == "external"
    asked_for = session.servers.get(type_name)
    return Use(
        type=type_name,
        name=name,
        image=server.instance.image,
        origin="existing" if exists else server.origin,
        start_s=server.start_s,
        ready_s=server.ready_s,
        pull_s=session.pulls_s.get(type_name),
        templates_s=asked_for.templates_s if asked_for else [],
        waits=dict(asked_for.waits) if asked_for else {},
        processes=int(asked_for is not None),
        kept=session.run.settings.keep and not exists,
        kept_failed=asked_for is not None and asked_for.kept_failed,
    )
