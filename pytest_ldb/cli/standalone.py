"""Standalone servers: they exist until the user deletes them, and their volumes even longer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from uuid import uuid4

from ..engines.protocol import Engine, Volume
from ..lifecycle.container_spec import Ownership, volumes_for
from ..lifecycle.owned import OwnedServers
from ..lifecycle.planner import Planner, ResolvedServer
from ..model.database_type import DatabaseType
from ..model.errors import InvalidRequest, NameTaken, VolumeUnusable
from ..model.instance import Instance
from ..model.request import LABEL, CreateInstanceRequest, container_name, server_name

LONGEST_NAME = 100


@dataclass(frozen=True)
class StandaloneServers:
    """Creates standalone servers.

    Args:
        planner: Plans the servers.
        owned: Starts them.
    """

    planner: Planner
    owned: OwnedServers

    def create(
        self,
        database_type: DatabaseType,
        *,
        image: str | None = None,
        name: str = "",
        port: int | None = None,
        volume: str = "",
    ) -> Instance:
        """Create and start a server, and return it when it is ready; a failure leaves nothing.

        Args:
            database_type: The type of the server.
            image: Image reference; None for the one of the settings or the type.
            name: Name of the server; by default the type's name, with a number if it is in use.
            port: Port to publish the server on; None to let the engine choose.
            volume: Volume for the data, created if necessary; by default ``ldb-<name>``.

        Raises:
            InvalidRequest: The name is invalid, or the type does not support volumes.
            NameTaken: A server with this name exists.
            ForeignContainer: A container that pytest-ldb did not create has this name.
            VolumeUnusable: The volume contains other data, or another server uses it.
            PortTaken: The port is already in use.
            StartFailed: The server did not become ready.
        """
        if name:
            name = _checked(name)
            self._check_name(name)
        server = self.planner.standalone(database_type, image=image, port=port)
        paths = server.image.volumes
        if volume and not paths:
            raise InvalidRequest(
                database_type.name,
                "this database type does not define `data_paths`",
                remedy="Set `data_paths` of the type, or leave out --volume.",
            )
        for own_name in [name] if name else self._free_names(server, volume):
            holder = (volume or container_name(own_name)) if paths else ""
            try:
                return self._create(self.planner.named(server, own_name, volume=holder))
            except NameTaken:
                if name:
                    raise
            except VolumeUnusable:
                # Another process may have taken the generated name; try the next one.
                if name or volume:
                    raise
        raise AssertionError("there is always another number")

    def _create(self, server: ResolvedServer) -> Instance:
        self._check_volumes(server)
        instance = self.owned.create(server, uuid4())
        self.owned.let_go(instance.id)
        return instance

    def _free_names(self, server: ResolvedServer, volume: str) -> Iterator[str]:
        """Yield names for which neither a server nor a volume exists."""
        volumes = {there.name for there in self._engine.volumes({})}
        for number in count(1):
            base = server.database_type.name
            name = base if number == 1 else f"{base}-{number}"
            container = container_name(name)
            own = set() if volume else set(volumes_for(container, server.image.volumes).values())
            if not own & volumes and self._engine.find(container) is None:
                yield name

    def _check_name(self, name: str) -> None:
        container = self._engine.find(container_name(name))
        if container is None:
            return
        Ownership.of(container)
        raise NameTaken(
            name,
            "a server with this name exists",
            remedy=f"Start it (`pytest-ldb start {name}`), or choose another name.",
        )

    def _check_volumes(self, server: ResolvedServer) -> None:
        request = server.request
        wanted = volumes_for(request.volume, server.image.volumes).values()
        for volume in self._engine.volumes({}):
            if volume.name in wanted:
                self._check_volume(request, volume)

    def _check_volume(self, request: CreateInstanceRequest, volume: Volume) -> None:
        if volume.labels.get(f"{LABEL}user") != request.scope.user:
            raise VolumeUnusable(
                volume.name,
                "pytest-ldb did not create this volume for this user, so its password is unknown",
                remedy="Choose another one with --volume.",
            )
        before, now = volume.labels.get(f"{LABEL}type"), request.database_type.name
        if before != now:
            raise VolumeUnusable(
                volume.name,
                f"it contains data of {before}, which {now} cannot read",
                remedy="Choose another one with --volume.",
            )
        users = self._engine.containers({f"{LABEL}volume": request.volume})
        if users:
            raise VolumeUnusable(
                volume.name,
                f"server {server_name(users[0].name)} uses it",
                remedy="Delete that server first (its data is kept), or choose another volume.",
            )

    @property
    def _engine(self) -> Engine:
        return self.planner.engine


def _checked(name: str) -> str:
    name = server_name(name)
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", name) or len(name) > LONGEST_NAME:
        raise InvalidRequest(
            repr(name),
            "this is not a valid name for a server",
            remedy=f"Use at most {LONGEST_NAME} letters, digits, `_`, `.` and `-`.",
        )
    return name
