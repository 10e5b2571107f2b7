"""Test the engine by starting a server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import uuid4

from ..engines.protocol import Container, Engine
from ..lifecycle.owned import OwnedServers
from ..lifecycle.planner import Planner
from ..model.database_type import DatabaseType
from ..model.errors import LdbError
from ..model.request import LABEL
from .inventory import run_beside

OK, NOTE, PROBLEM = "ok", "note", "problem"

LITTLE_BYTES = 5 << 30


@dataclass(frozen=True)
class Finding:
    """The result of a check.

    Args:
        topic: What was checked.
        level: ``ok``, ``note`` (works, with a limitation) or ``problem``.
        fact: The result.
        remedy: How to fix it; empty if nothing is to be done.
    """

    topic: str
    level: str
    fact: str
    remedy: str = ""

    @classmethod
    def of(cls, topic: str, error: LdbError) -> Finding:
        """Convert an error to a finding, with its evidence on one line."""
        said = f" ({' '.join(error.evidence.split())})" if error.evidence else ""
        return cls(topic, PROBLEM, f"{error.subject}: {error.fact}{said}", error.remedy)


@dataclass(frozen=True)
class SelfTest:
    """Starts a temporary server and checks what the engine can do with it.

    Args:
        planner: Plans the server.
    """

    planner: Planner

    def findings(self, database_type: DatabaseType) -> Iterator[Finding]:
        """Run all checks with a type whose image is present; the server is removed afterwards."""
        identity = uuid4()
        server = self.planner.named(
            self.planner.private(database_type, suffix=""), f"doctor-{identity.hex[:8]}"
        )
        paths = server.image.volumes
        server = replace(server, spec=replace(server.spec, memory_volumes=paths))
        owned = OwnedServers(self._engine, self.planner.settings.timeout_s)
        try:
            address = owned.create(server, identity).address
            assert address
            yield Finding(
                "publishing", OK, f"{database_type.name} answers on {address.host}:{address.port}"
            )
            yield from self._try_container(owned.existing(server.spec.name), paths)
        except LdbError as error:
            yield Finding.of("server", error)
        finally:
            owned.close()

    def _try_container(self, container: Container, paths: Sequence[str]) -> Iterator[Finding]:
        yield self._try_exec(container)
        yield from self._try_memory(container, paths)
        yield from self._look_at_disk(container)
        yield self._try_commit(container)

    def _try_exec(self, container: Container) -> Finding:
        said = run_beside(self._engine, container.id, ["sh", "-c", "echo $((6 * 7))"]).strip()
        if said == "42":
            return Finding("exec", OK, "commands run inside containers")
        remedy = "Its image must have `sh`, and the engine must allow `exec`."
        return Finding("exec", PROBLEM, f"commands do not run inside containers: {said}", remedy)

    def _try_memory(self, container: Container, paths: Sequence[str]) -> Iterator[Finding]:
        mounts = run_beside(self._engine, container.id, ["cat", "/proc/mounts"]).splitlines()
        file_systems = {path: name for _, path, name, *_ in map(str.split, mounts)}
        for path in paths:
            if file_systems.get(path) == "tmpfs":
                yield Finding("tmpfs", OK, f"data can be kept in memory ({path})")
            else:
                remedy = "Data is written to disk, which is slower; nothing else changes."
                yield Finding("tmpfs", NOTE, f"{path} cannot be kept in memory", remedy)

    def _look_at_disk(self, container: Container) -> Iterator[Finding]:
        lines = run_beside(self._engine, container.id, ["df", "-Pk", "/"]).splitlines()
        with suppress(IndexError, ValueError):
            total, _, free = (int(number) * 1024 for number in lines[1].split()[1:4])
            fact = f"{free / 1e9:.0f} of {total / 1e9:.0f} GB are free on the engine's disk"
            if free < LITTLE_BYTES:
                remedy = "`docker system df` shows the usage, `docker system prune` frees space."
                yield Finding("disk", PROBLEM, fact, remedy)
            else:
                yield Finding("disk", OK, fact)

    def _try_commit(self, container: Container) -> Finding:
        labels = {f"{LABEL}doctor": "true"}
        try:
            self._engine.stop(container.id)
            made = self._engine.remember(container.id, ["/etc"], labels, "pytest-ldb-doctor:trial")
            self._engine.remove_image(made)
        except LdbError as error:
            remedy = "Servers are initialised in every run, as with --ldb-cache=never."
            return Finding(
                "commit", NOTE, f"containers cannot be committed as images: {error.fact}", remedy
            )
        return Finding("commit", OK, "containers can be committed as images")

    @property
    def _engine(self) -> Engine:
        return self.planner.engine
