"""Servers that belong to one process: they are removed when it ends, unless released."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from ..engines.protocol import Container, Engine, Guard, Watch
from ..model.database_type import DatabaseType
from ..model.errors import hidden
from ..model.instance import Credentials, Instance
from ..model.request import server_name
from .container_spec import instance_of, not_found
from .planner import ResolvedServer
from .starter import Starter

__tracebackhide__ = hidden


class OwnedServers:
    """Creates, starts and removes such servers.

    Args:
        engine: Where they run.
        timeout_s: The most time that a server may take to become ready.
    """

    def __init__(self, engine: Engine, timeout_s: float) -> None:
        self._engine = engine
        self._starter = Starter(engine, timeout_s)
        self._created: dict[UUID, tuple[DatabaseType, Guard]] = {}

    def create(self, server: ResolvedServer, identity: UUID) -> Instance:
        """Create and start a server, and return it when it is ready.

        Args:
            server: The server.
            identity: The id of its instance.

        Raises:
            NameTaken: The engine has a container of this name already.
            StartFailed: It did not become ready; nothing of it is left.
        """
        ready = partial(self._ready, server.spec.name, server.database_type, server.credentials)
        instance, guard = self._starter.start_new(server.spec, identity, ready)
        self._created[identity] = server.database_type, guard
        return instance

    def start(
        self, container: str, database_type: DatabaseType, credentials: Credentials
    ) -> Instance:
        """Start a server that has been stopped, and return it when it is ready.

        Args:
            container: The name of its container.
            database_type: What it runs.
            credentials: Its superuser.

        Raises:
            StartFailed: It did not become ready.
        """
        return self._ready(container, database_type, credentials, self._engine.start(container))

    def existing(self, container: str) -> Container:
        """Return the container of this name.

        Raises:
            InstanceNotFound: It has been removed since.
        """
        found = self._engine.find(container)
        if found is None:
            raise not_found(container)
        return found

    def type_of(self, identity: UUID) -> DatabaseType | None:
        """Return the type of a server that this process has created; None for other servers."""
        database_type, _ = self._created.get(identity, (None, None))
        return database_type

    def let_go(self, identity: UUID) -> None:
        """Release a server, so that it stays when this process ends."""
        _, guard = self._created.pop(identity, (None, None))
        if guard is not None:
            guard.release()

    def close(self) -> None:
        """Remove all servers that were not released."""
        for identity in list(self._created):
            self._starter.remove(identity)
            self.let_go(identity)

    def _ready(
        self, container: str, database_type: DatabaseType, credentials: Credentials, watch: Watch
    ) -> Instance:
        try:
            found, name = self.existing(container), server_name(container)
            self._starter.wait(database_type, credentials, found, watch, subject=name)
        finally:
            watch.close()
        return instance_of(self.existing(container), credentials)
