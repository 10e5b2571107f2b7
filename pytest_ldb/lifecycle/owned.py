"""Servers that belong to one process: they end with it, until they are let go."""

from __future__ import annotations

from uuid import UUID

from ..engines.protocol import Container, ContainerSpec, Engine, Guard, Image
from ..model.database_type import DatabaseType
from ..model.errors import LdbError, hidden
from ..model.instance import Instance
from ..model.request import LABEL, CreateInstanceRequest
from .container_spec import container_spec, credentials_for, instance_of, not_found
from .readiness import wait_until_ready

__tracebackhide__ = hidden


class OwnedServers:
    """Makes servers, and starts them again.

    Args:
        engine: Where they live.
        secret: Passwords derive from it.
        timeout_s: The most time that a server may take to become ready.
    """

    def __init__(self, engine: Engine, secret: bytes, timeout_s: float) -> None:
        self._engine = engine
        self._secret = secret
        self._timeout_s = timeout_s
        self._made: dict[UUID, tuple[DatabaseType, Guard]] = {}
        self._interrupted: list[tuple[DatabaseType, Guard]] = []

    def make(self, request: CreateInstanceRequest, image: Image, identity: UUID) -> Instance:
        """Create and start the server that answers a request, and return it when it is ready.

        Args:
            request: What it answers.
            image: What to run.
            identity: Its id.

        Raises:
            NameTaken: The engine has a container of this name already.
            StartFailed: It did not become ready; nothing of it is left.
        """
        spec = container_spec(request, image, credentials_for(request, self._secret), identity)
        return self.carry_out(spec, request.database_type, identity)

    def carry_out(
        self, spec: ContainerSpec, database_type: DatabaseType, identity: UUID
    ) -> Instance:
        """Create and start a container, and return the server when it is ready; errors as above.

        Args:
            spec: The container.
            database_type: What it runs.
            identity: Its id, which its labels say too.
        """
        self._made[identity] = database_type, self._engine.guard(str(identity))
        try:
            self._engine.create(spec)
            return self.start(spec.name, database_type)  # by its name, as errors say it
        except LdbError:
            self.undo(identity)
            raise
        except BaseException:
            # The engine may create it even now; only the guard looks for it for long enough.
            self._interrupted.append(self._made.pop(identity))
            self._remove(identity)
            raise

    def start(self, container: str, database_type: DatabaseType) -> Instance:
        """Start a container, and return the server when it is ready.

        Args:
            container: Its name.
            database_type: What it runs.

        Raises:
            StartFailed: It did not become ready.
        """
        watch = self._engine.start(container)
        try:
            found = self.existing(container)
            wait_until_ready(
                found.name.removeprefix("ldb-"),
                found.address,
                database_type.ready,
                watch,
                timeout_s=self._timeout_s,
                secrets=[instance_of(found, self._secret).credentials.password],
            )
        finally:
            watch.close()
        return instance_of(self.existing(container), self._secret)

    def existing(self, container: str) -> Container:
        """Return the container of this name, which was there a moment ago.

        Raises:
            InstanceNotFound: It is gone.
        """
        found = self._engine.find(container)
        if found is None:
            raise not_found(container)
        return found

    def kind_of(self, identity: UUID) -> DatabaseType | None:
        """Return the type of a server that this process has made."""
        database_type, _ = self._made.get(identity, (None, None))
        return database_type

    def let_go(self, identity: UUID) -> None:
        """Leave a server to itself: it stays when this process ends."""
        _, guard = self._made.pop(identity, (None, None))
        if guard is not None:
            guard.release()

    def undo(self, identity: UUID) -> None:
        """Remove all that there is of a server that this process has made, and forget it."""
        self._remove(identity)
        self.let_go(identity)

    def close(self) -> None:
        """Remove everything that was not let go."""
        for identity in list(self._made):
            self.undo(identity)

    def _remove(self, identity: UUID) -> None:
        made_for_it = {f"{LABEL}id": str(identity)}
        for container in self._engine.containers(made_for_it):
            self._engine.remove(container.id)
        for volume in self._engine.volumes(made_for_it):
            self._engine.remove_volume(volume.name)
