"""Which servers a run used, and what they took: each process tells its part, one adds them up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.lease import Lease
    from .session import Session

LAST_MOMENT_S = 0.3
"""Another worker may find a server ready, and be done, just before the one that began it."""

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
        ready_s: How long it took from there until the server answered.
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
    ready_s: float
    pull_s: float | None = None
    templates_s: list[float] = field(default_factory=list)
    waits: Mapping[float, int] = field(default_factory=dict)
    processes: int = 1
    kept: bool = False
    kept_failed: bool = False

    @property
    def container(self) -> str:
        """The name of its container; empty if it is not one of ours."""
        return "" if self.origin == "existing" else f"ldb-{self.name}"

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
        pulls = [pull for pull in (self.pull_s, other.pull_s) if pull is not None]
        return replace(
            other if other.origin in STARTED else self,
            pull_s=max(pulls, default=None),
            templates_s=[*self.templates_s, *other.templates_s],
            waits=dict(Counter(self.waits) + Counter(other.waits)),
            processes=self.processes + other.processes,
            kept_failed=self.kept_failed or other.kept_failed,
        )


def used_servers(session: Session) -> list[dict[str, Any]]:
    """Return what this process knows of the servers that it used, as plain values."""
    return [asdict(_use(lease, session)) for lease in session.held(LAST_MOMENT_S)]


def added_up(told: Iterable[dict[str, Any]]) -> list[Use]:
    """Return what all processes know, a value for each server."""
    uses: dict[str, Use] = {}
    for use in (Use(**values) for values in told):
        uses[use.name] = uses[use.name].and_of(use) if use.name in uses else use
    return sorted(uses.values(), key=lambda use: (use.type, use.name))


def _use(lease: Lease, session: Session) -> Use:
    kind, name = lease.database_type.name, lease.instance.name
    exists = lease.origin == "external"
    return Use(
        type=kind,
        name=name,
        image=lease.instance.image,
        origin="existing" if exists else lease.origin,
        start_s=lease.start_s,
        ready_s=lease.ready_s,
        pull_s=session.pulls_s.get(kind),
        templates_s=session.templates_s(kind),
        waits=dict(session.waits(kind)),
        processes=int(kind in session.leases),
        kept=session.settings.keep and not exists,
        kept_failed=name in session.kept_failed,
    )
