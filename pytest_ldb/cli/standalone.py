"""Servers that belong to no run: they stay until somebody deletes them, their data even longer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from uuid import uuid4

from ..engines.protocol import Engine, Image, Volume
from ..lifecycle.container_spec import Ownership, volumes_for
from ..lifecycle.owned import OwnedServers
from ..lifecycle.planner import Planner
from ..model.database_type import DatabaseType
from ..model.errors import InvalidRequest, NameTaken, VolumeUnusable
from ..model.instance import Instance
from ..model.request import LABEL, CreateInstanceRequest

LONGEST_NAME = 100


@dataclass(frozen=True)
class StandaloneServers:
    """Creates servers that stay.

    Args:
        engine: Where they live.
        planner: Decides what is started.
        owned: Starts it.
    """

    engine: Engine
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
        request, found = self.planner.standalone(database_type, image=image, port=port)
        if volume and not found.volumes:
            raise InvalidRequest(
                database_type.name,
                "nobody said where its data is",
                remedy="Set `data_paths` of its type.",
            )
        for own_name in [name] if name else self._free_names(database_type, volume, found):
            holder = (volume or f"ldb-{own_name}") if found.volumes else ""
            named = replace(request, own_name=own_name, volume=holder)
            try:
                return self._create(named, found)
            except NameTaken:
                if name:
                    raise
            except VolumeUnusable:
                # Another process may have taken name and volume since they were looked for.
                if name or volume:
                    raise
        raise AssertionError("there is always another number")

    def _create(self, request: CreateInstanceRequest, image: Image) -> Instance:
        self._check_volumes(request, image)
        instance = self.owned.make(request, image, uuid4())
        self.owned.let_go(instance.id)
        return instance

    def _free_names(self, database_type: DatabaseType, volume: str, image: Image) -> Iterator[str]:
        """Yield names that no server has, and whose volumes hold no data from earlier."""
        volumes = {there.name for there in self.engine.volumes({})}
        for number in count(1):
            name = database_type.name if number == 1 else f"{database_type.name}-{number}"
            own = set() if volume else set(volumes_for(f"ldb-{name}", image.volumes).values())
            if not own & volumes and self.engine.find(f"ldb-{name}") is None:
                yield name

    def _check_name(self, name: str) -> None:
        container = self.engine.find(f"ldb-{name}")
        if container is None:
            return
        Ownership.of(container)
        raise NameTaken(
            name,
            "there is a server of this name",
            remedy=f"Start it (`pytest-ldb start {name}`), or choose another name.",
        )

    def _check_volumes(self, request: CreateInstanceRequest, image: Image) -> None:
        wanted = volumes_for(request.volume, image.volumes).values()
        for volume in self.engine.volumes({}):
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
        users = self.engine.containers({f"{LABEL}volume": request.volume})
        if users:
            raise VolumeUnusable(
                volume.name,
                f"{users[0].name.removeprefix('ldb-')} has its data there",
                remedy="Delete that server first (its data stays), or choose another volume.",
            )


def _checked(name: str) -> str:
    name = name.removeprefix("ldb-")
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", name) or len(name) > LONGEST_NAME:
        raise InvalidRequest(
            repr(name),
            "this cannot be the name of a server",
            remedy=f"Use letters, digits, `_`, `.` and `-`, at most {LONGEST_NAME}.",
        )
    return name
