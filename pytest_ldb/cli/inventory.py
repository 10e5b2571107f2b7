"""List and find the servers of a user, with their use and size."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..engines.protocol import Container, Engine, Volume
from ..lifecycle.container_spec import Ownership, found_instance, those_of_ours
from ..model.credentials import UserIdentity
from ..model.errors import AmbiguousName, CommandFailed, EngineFailed, InstanceNotFound, InUse
from ..model.instance import Instance
from ..model.request import LABEL, SCHEMA, container_name, server_name
from ..shell.script_files import script

_ANONYMOUS = re.compile("[0-9a-f]{64}")

LOOK_TIMEOUT_S = 10.0

SHORTEST_ID = 4
"""Shorter prefixes are too ambiguous."""

# Prints how many processes use the server, and the size of its data in KiB.
_LOOK = f"""
home=$LDB_HOME me=
{script("owners")}
count_others
echo "held by $others"
du -sk "$@" 2>/dev/null
"""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server as the commands show it.

    Args:
        instance: The server.
        ownership: The user, project and run that own it.
        container: Its container.
        processes: Number of processes that use it; None if it is not running.
        size_bytes: Size of its data; None if it is not running, or the size is unknown.
    """

    instance: Instance
    ownership: Ownership
    container: Container
    processes: int | None = None
    size_bytes: int | None = None

    @property
    def purpose(self) -> str:
        """What the server is used for.

        ``standalone`` (created with the command), ``kept`` (for the next run), ``run`` (shared by
        the processes of a run) or ``test`` (created by a test with the fixture ``ldb``).
        """
        if self.ownership.kept:
            return "kept" if self.ownership.shared else "standalone"
        return "run" if self.ownership.shared else "test"

    @property
    def in_memory(self) -> bool:
        """Whether its data is lost when it stops."""
        return bool(self.container.memory)

    @property
    def volumes(self) -> list[str]:
        """The names of its data volumes, without anonymous ones, which are removed with it."""
        return sorted(
            name for name in self.container.volumes.values() if not _ANONYMOUS.fullmatch(name)
        )

    def facts(self) -> dict[str, Any]:
        """Return all facts as JSON values, without the password."""
        facts: dict[str, Any] = json.loads(self.instance.to_json())
        del facts["credentials"]
        return {
            **facts,
            "container": self.container.name,
            "project": self.ownership.project or None,
            "purpose": self.purpose,
            "processes": self.processes,
            "in_memory": self.in_memory,
            "volumes": self.volumes,
            "size_bytes": self.size_bytes,
        }


@dataclass(frozen=True)
class Inventory:
    """The servers of one user.

    Args:
        engine: The engine that runs the servers.
        identity: The user.
    """

    engine: Engine
    identity: UserIdentity

    def servers(self) -> list[Server]:
        """Return all servers, oldest first."""
        containers = self._containers()
        with ThreadPoolExecutor(max_workers=8) as pool:
            servers = list(pool.map(self._server, containers))
        return sorted(servers, key=lambda server: server.instance.created_at)

    def find(self, name: str) -> Server:
        """Return the server with this name, which can be abbreviated.

        An abbreviation is a prefix of the name, of a part of the name after a `-`, or of the id
        (four digits or more).

        Raises:
            InstanceNotFound: No server has this name.
            AmbiguousName: Several servers match the abbreviation.
        """
        name = server_name(name)
        containers = self._containers()
        exact = [found for found in containers if found.name == container_name(name)]
        fitting = exact or [found for found in containers if _answers_to(found, name)]
        if len(fitting) > 1:
            names = sorted(server_name(found.name) for found in fitting)
            raise AmbiguousName(
                name, f"{len(names)} servers match this name", evidence="\n".join(names)
            )
        if not fitting:
            raise self._not_found(name)
        return self._server(fitting[0])

    def names(self) -> list[str]:
        """Return the names of all servers."""
        return sorted(server_name(container.name) for container in self._containers())

    def volumes(self, name: str = "") -> list[Volume]:
        """Return the data volumes of all servers, or of one, which may have been deleted."""
        found = self.engine.volumes({f"{LABEL}user": self.identity.mark})
        if not name:
            return list(found)
        wanted = {server_name(name), name}
        known = (f"{LABEL}name", f"{LABEL}volume")
        return [
            volume for volume in found if wanted & {volume.labels.get(label) for label in known}
        ]

    def volumes_of(self, server: Server) -> list[Volume]:
        """Return the data volumes of a server."""
        return [volume for volume in self.volumes() if volume.name in server.volumes]

    def orphans(self, servers: Iterable[Server]) -> list[Volume]:
        """Return the volumes that no server uses; ``servers`` must be all servers of the user."""
        used = {name for server in servers for name in server.volumes}
        return [volume for volume in self.volumes() if volume.name not in used]

    def _containers(self) -> Sequence[Container]:
        labels = {f"{LABEL}schema": SCHEMA, f"{LABEL}user": self.identity.mark}
        return those_of_ours(self.engine.containers(labels))

    def _not_found(self, name: str) -> Exception:
        foreign = self.engine.find(container_name(name))
        if foreign is not None:
            Ownership.of(foreign)
            return InstanceNotFound(
                name, "this server belongs to another user of pytest-ldb on this engine"
            )
        return InstanceNotFound(
            name,
            "pytest-ldb has no server of this name",
            remedy="Run `pytest-ldb list` to list all servers.",
        )

    def _server(self, container: Container) -> Server:
        processes, size_bytes = self._look(container)
        return Server(
            instance=found_instance(container, self.identity),
            ownership=Ownership.of(container),
            container=container,
            processes=processes,
            size_bytes=size_bytes,
        )

    def _look(self, container: Container) -> tuple[int | None, int | None]:
        if container.state != "running":
            return None, None
        paths = [*container.memory, *container.volumes]
        try:
            text = run_beside(self.engine, container.id, ["sh", "-c", _LOOK, "sh", *paths])
        except (CommandFailed, EngineFailed):  # The container is stopping.
            return None, None
        held = re.search(r"^held by (\d+)$", text, re.MULTILINE)
        sizes = re.findall(r"^(\d+)\s", text, re.MULTILINE)
        if held is None:  # The container stopped before the script printed it.
            return None, None
        return int(held[1]), sum(map(int, sizes)) * 1024 if sizes else None


def run_beside(engine: Engine, container: str, argv: Sequence[str]) -> str:
    """Run a command in a container and return its output.

    Raises:
        EngineFailed: The command could not be started.
        CommandFailed: There was no output for ten seconds, or the connection was lost.
    """
    execution = engine.execute(container, argv, environment={}, tty=False)
    try:
        execution.end_input()
        pieces = iter(partial(execution.receive, LOOK_TIMEOUT_S), [])
        return b"".join(text for piece in pieces for _, text in piece).decode(errors="replace")
    except OSError as error:
        silent = isinstance(error, TimeoutError)
        fact = f"wrote nothing for {LOOK_TIMEOUT_S:g} s" if silent else "lost its connection"
        raise CommandFailed(container[:12], f"`{argv[0]}` {fact}", evidence=str(error)) from error
    finally:
        execution.close()


def refuse_if_used(server: Server) -> None:
    """Refuse to change a server that processes are using.

    Raises:
        InUse: At least one process uses the server.
    """
    if server.processes:
        many = "a process uses" if server.processes == 1 else f"{server.processes} processes use"
        raise InUse(
            server.instance.name,
            f"{many} this server",
            remedy="Wait until the test run ends, or use --force.",
        )


def _answers_to(container: Container, text: str) -> bool:
    name, identity = server_name(container.name), container.labels[f"{LABEL}id"]
    starts = re.search(rf"(^|-){re.escape(text)}", name)
    is_id = len(text) >= SHORTEST_ID and identity.startswith(text)
    return bool(text) and (starts is not None or is_id)
