"""Servers that belong to no run: they stay until somebody deletes them, their data even longer."""

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
    """Creates servers that stay.

    Args:
        planner: Decides what is started.
        owned: Starts it.
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
        """Create and start a server, and return it when it is ready. If it fails, nothing is left.

        Args:
            database_type: What to run.
            image: The reference to run; None for the one that the settings or the type name.
            name: Its name; empty: the type's name, with a number if that is in use.
            port: The port to publish it on; None: one that the engine chooses.
            volume: The volume that its data is in, made if it is not there; empty: ``ldb-<name>``.

        Raises:
            InvalidRequest: The name is none, or data of this type cannot be in a volume.
            NameTaken: There is a server of this name.
            ForeignContainer: A container that is not ours has this name.
            VolumeUnusable: The volume holds something else, or belongs to another server.
            PortTaken: Somebody listens on that port.
            StartFailed: It did not become ready.
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
                # Another process may have taken name and volume since they were looked for.
                if name or volume:
                    raise
        raise AssertionError("there is always another number")

    def _create(self, server: ResolvedServer) -> Instance:
        self._check_volumes(server)
        instance = self.owned.create(server, uuid4())
        self.owned.let_go(instance.id)
        return instance

    def _free_names(self, server: ResolvedServer, volume: str) -> Iterator[str]:
        """Yield names that no server has, and whose volumes hold no data from earlier."""
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
            "there is a server of this name",
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
                "this volume was not made by pytest-ldb for this user, so its password is unknown",
                remedy="Choose another one with --volume.",
            )
        before, now = volume.labels[f"{LABEL}type"], request.database_type.name
        if before != now:
            raise VolumeUnusable(
                volume.name,
                f"it holds data of {before}, which {now} cannot read",
                remedy="Choose another one with --volume.",
            )
        users = self._engine.containers({f"{LABEL}volume": request.volume})
        if users:
            raise VolumeUnusable(
                volume.name,
                f"{server_name(users[0].name)} has its data there",
                remedy="Delete that server first (its data stays), or choose another volume.",
            )

    @property
    def _engine(self) -> Engine:
        return self.planner.engine


def _checked(name: str) -> str:
    name = server_name(name)
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", name) or len(name) > LONGEST_NAME:
        raise InvalidRequest(
            repr(name),
            "this cannot be the name of a server",
            remedy=f"Use letters, digits, `_`, `.` and `-`, at most {LONGEST_NAME}.",
        )
    return name
