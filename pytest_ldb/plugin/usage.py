"""Which servers a run used, and how long they took.

Each process records its usage; the controller merges the records.
"""

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
"""How long a worker without tests waits for servers that it is starting for other workers."""

STARTED = ("created", "restored", "restarted")
"""Origins of a server in the process that started it, which has measured the start."""

COMMAND_NEEDS = ("click", "psutil", "rich")
"""The packages of the extra `cli`, which the command `pytest-ldb` requires."""


@dataclass(frozen=True, kw_only=True)
class Use:
    """The usage of one server, by one process or by all processes of the run.

    Args:
        type: Name of the database type.
        name: Unique name of the server.
        image: Image reference; empty for an existing server.
        origin: ``created``, ``restored``, ``restarted``, ``attached`` or ``existing``.
        start_s: Seconds until the container ran.
        ready_s: Seconds from there until the server was ready; None if it was not ready yet.
        not_cached: Why it was initialised although the cache is used; empty otherwise.
        pull_s: Seconds spent waiting for the image; None if it was present.
        templates_s: Seconds to create each template.
        waits: Number of tests by the seconds that they waited for a fresh database.
        processes: Number of processes whose tests used the server.
        kept: Whether the server is kept because of ``--ldb-keep``.
        kept_failed: Whether it is kept because of ``--ldb-keep-failed`` and a failed test.
    """

    type: str
    name: str
    image: str
    origin: str
    start_s: float
    ready_s: float | None
    not_cached: str = ""
    pull_s: float | None = None
    templates_s: list[float] = field(default_factory=list)
    waits: Mapping[float, int] = field(default_factory=dict)
    processes: int = 1
    kept: bool = False
    kept_failed: bool = False

    @property
    def container(self) -> str:
        """The name of its container; empty for an existing server."""
        return "" if self.origin == "existing" else container_name(self.name)

    @property
    def ended_by(self) -> str:
        """The command that deletes it; empty if it is not kept."""
        if not (self.kept or self.kept_failed):
            return ""
        if all(map(find_spec, COMMAND_NEEDS)):
            return f"pytest-ldb delete {self.name}"
        return f"docker rm -fv {self.container}"

    @property
    def fresh_databases(self) -> int:
        """The number of tests that used a fresh database."""
        return sum(self.waits.values())

    @property
    def median_wait_s(self) -> float | None:
        """The median time that these tests waited; None without such tests."""
        waits = sorted(Counter(self.waits).elements())
        return waits[len(waits) // 2] if waits else None

    def and_of(self, other: Use) -> Use:
        """Merge two records; details of the start are taken from the process that started it."""
        return replace(
            other if other.origin in STARTED else self,
            ready_s=_longer(self.ready_s, other.ready_s),
            not_cached=self.not_cached or other.not_cached,
            pull_s=_longer(self.pull_s, other.pull_s),
            templates_s=[*self.templates_s, *other.templates_s],
            waits=dict(Counter(self.waits) + Counter(other.waits)),
            processes=self.processes + other.processes,
            kept_failed=self.kept_failed or other.kept_failed,
        )


def used_servers(session: Session, patience_s: float) -> list[dict[str, Any]]:
    """Return the usage records of this process, as plain values.

    Args:
        session: The session of this process.
        patience_s: Maximum time to wait for servers whose containers are about to start.
    """
    unready = session.unready(patience_s)
    servers: list[Lease | PendingServer] = [*session.held, *unready]
    return [asdict(_use(server, session)) for server in servers]


def added_up(records: Iterable[dict[str, Any]]) -> list[Use]:
    """Merge the records of all processes into one record per server."""
    uses: dict[str, Use] = {}
    for use in (Use(**values) for values in records):
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
        not_cached=server.not_cached,
        pull_s=session.pulls_s.get(type_name),
        templates_s=asked_for.templates_s if asked_for else [],
        waits=dict(asked_for.waits) if asked_for else {},
        processes=int(asked_for is not None),
        kept=session.run.settings.keep and not exists,
        kept_failed=asked_for is not None and asked_for.kept_failed,
    )
