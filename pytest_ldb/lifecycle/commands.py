"""The seven commands: create, start, stop, restart, delete, list, status."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from ..engines.protocol import Container
from ..model.database import Database
from ..model.database_type import DatabaseType
from ..model.errors import hidden
from ..model.instance import Instance, InstanceStatus, type_named
from ..model.request import LABEL, SCHEMA, container_name, server_name
from .container_spec import found_instance, not_found, those_of_ours
from .owned import OwnedServers
from .planner import Planner

if TYPE_CHECKING:
    from typing_extensions import Self

__tracebackhide__ = hidden


class Lifecycle:
    """Creates servers that are not shared, and stops, restarts and deletes servers.

    A server that :meth:`create` made belongs to this process and is removed when the process ends,
    however it ends. Every command may be repeated: to start a running server, to stop a stopped one
    or to delete one that does not exist is no error. Commands take a server's name, or the
    :class:`Instance` that ``create`` or ``list`` returned.

    Args:
        planner: Resolves the servers to create.
        types: The known database types.
        whose: The labels of the containers to work on; None: those of this project.

    Attributes:
        created: The servers that :meth:`create` has made, deleted ones included.
    """

    def __init__(
        self,
        planner: Planner,
        types: Sequence[DatabaseType],
        whose: Mapping[str, str] | None = None,
    ) -> None:
        self._engine = planner.engine
        self._planner = planner
        self._types = types
        project = {f"{LABEL}project": planner.scope.project}
        self._ours = {f"{LABEL}schema": SCHEMA, **(project if whose is None else whose)}
        self._owned = OwnedServers(planner.engine, planner.settings.timeout_s)
        self.created: list[Instance] = []

    def create(self, database_type: str | DatabaseType, *, image: str | None = None) -> Instance:
        """Create and start a server, and return it when it is ready.

        Its data survives :meth:`stop`. It shares nothing with the servers of the fixtures.

        Args:
            database_type: A type, its name, or an alias.
            image: A reference to run instead of the type's.

        Raises:
            InvalidRequest: There is no such type.
            StartFailed: It did not become ready; nothing of it is left.
        """
        identity = uuid4()
        server = self._planner.private(
            self._database_type(database_type), suffix=identity.hex[:8], image=image
        )
        instance = self._owned.create(server, identity)
        self.created.append(instance)
        return instance

    def server(
        self,
        database_type: str | DatabaseType,
        *,
        image: str | None = None,
        command: str | Sequence[str] | None = None,
    ) -> Server:
        """Create and start a server, and return an object that follows its address.

        ``with ldb.server("redis") as server:`` deletes the server at the end of the block.

        Args:
            database_type: A type, its name, or an alias.
            image: A reference to run instead of the type's.
            command: What follows the image's entrypoint instead of the type's ``command``: the
                server's program with its arguments, or arguments alone. A string is split as a
                shell splits it.

        Raises:
            InvalidRequest: There is no such type.
            StartFailed: It did not become ready; nothing of it is left.
        """
        declared = self._database_type(database_type)
        if command is not None:
            arguments = shlex.split(command) if isinstance(command, str) else command
            declared = replace(declared, command=tuple(arguments))
        return Server(self, declared, self.create(declared, image=image))

    def start(self, instance: Instance | str) -> Instance:
        """Start a server and return it when it is ready; its port may be another one than before.

        Raises:
            InstanceNotFound: There is no such server.
            StartFailed: It did not become ready.
        """
        container = self._container(instance)
        if container.state == "paused":
            self._engine.unpause(container.id)
        credentials = found_instance(container, self._planner.identity).credentials
        return self._owned.start(container.name, self._type_of(container), credentials)

    def stop(self, instance: Instance | str) -> Instance:
        """Stop a server the way its image asks for; its data stays.

        Raises:
            InstanceNotFound: There is no such server.
        """
        container = self._container(instance)
        if container.state == "paused":  # It would not receive the signal to stop.
            self._engine.unpause(container.id)
        self._engine.stop(container.id)
        return found_instance(self._owned.existing(container.name), self._planner.identity)

    def restart(self, instance: Instance | str) -> Instance:
        """Stop a server and start it again; its port may be another one than before.

        Raises:
            InstanceNotFound: There is no such server.
            StartFailed: It did not become ready.
        """
        return self.start(self.stop(instance))

    def delete(self, instance: Instance | str) -> None:
        """Remove a server and its data, running or not; named volumes stay."""
        container = self._find(instance)
        if container is not None:
            self._engine.remove(container.id)
            self._owned.let_go(_identity(container))

    def list(self) -> tuple[Instance, ...]:
        """Return all servers of this project, shared and kept ones too, oldest first."""
        found = those_of_ours(self._engine.containers(self._ours))
        instances = [found_instance(container, self._planner.identity) for container in found]
        return tuple(sorted(instances, key=lambda instance: instance.created_at))

    def status(self, instance: Instance | str) -> InstanceStatus:
        """Return the present status of a server.

        Raises:
            InstanceNotFound: There is no such server.
        """
        container = self._container(instance)
        return InstanceStatus.of(container.state, container.exit_code)

    def database(self, instance: Instance) -> Database:
        """Return the database that a server has from the beginning."""
        database_type = self._database_type(instance.database_type)
        return Database(instance, database_type.server.initial_database, database_type)

    def close(self) -> None:
        """Delete everything that :meth:`create` made."""
        self._owned.close()

    def _database_type(self, database_type: str | DatabaseType) -> DatabaseType:
        if isinstance(database_type, DatabaseType):
            return database_type
        return type_named(database_type, self._types)

    def _type_of(self, container: Container) -> DatabaseType:
        made = self._owned.type_of(_identity(container))
        return made or self._database_type(container.labels[f"{LABEL}type"])

    def _container(self, instance: Instance | str) -> Container:
        container = self._find(instance)
        if container is None:
            raise not_found(instance if isinstance(instance, str) else instance.name)
        return container

    def _find(self, instance: Instance | str) -> Container | None:
        """Find a server, by id if that is known: another server may have the name by now."""
        if isinstance(instance, Instance):
            found = self._engine.containers({f"{LABEL}id": str(instance.id)})
            return found[0] if found else None
        container = self._engine.find(container_name(server_name(instance)))
        if container is None or not self._ours.items() <= container.labels.items():
            return None
        return container


class Server:
    """What :meth:`Lifecycle.server` returns; leaving its ``with`` block deletes the server.

    Args:
        lifecycle: Carries out the commands.
        database_type: What the server runs.
        instance: The server.

    Attributes:
        instance: The server, as the last command of this object left it.
    """

    def __init__(
        self, lifecycle: Lifecycle, database_type: DatabaseType, instance: Instance
    ) -> None:
        self._lifecycle = lifecycle
        self._database_type = database_type
        self.instance = instance

    @property
    def database(self) -> Database:
        """The database that the server has from the beginning, at its present address."""
        initial = self._database_type.server.initial_database
        return Database(self.instance, initial, self._database_type)

    @property
    def url(self) -> str:
        """The URL of :attr:`database`.

        Raises:
            NotRunning: The server is stopped or deleted, so it has no address.
        """
        return self.database.url

    def start(self) -> None:
        """Start the server and return when it is ready; its port may have changed.

        Raises:
            InstanceNotFound: It has been deleted.
            StartFailed: It did not become ready.
        """
        self.instance = self._lifecycle.start(self.instance)

    def stop(self) -> None:
        """Stop the server the way its image asks for; its data stays.

        Raises:
            InstanceNotFound: It has been deleted.
        """
        self.instance = self._lifecycle.stop(self.instance)

    def restart(self) -> None:
        """Stop the server and start it again; errors as for :meth:`start`."""
        self.stop()
        self.start()

    def delete(self) -> None:
        """Remove the server and its data, running or not; named volumes stay."""
        self._lifecycle.delete(self.instance)
        self.instance = replace(self.instance, address=None, status=InstanceStatus.STOPPED)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.delete()

    def __repr__(self) -> str:
        return f"<Server {self.instance.name!r}, {self.instance.status.value}>"


def _identity(container: Container) -> UUID:
    return UUID(container.labels[f"{LABEL}id"])
