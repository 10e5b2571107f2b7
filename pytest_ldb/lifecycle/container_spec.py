"""Containers made from requests, and instances read from containers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from ..engines.protocol import Container, ContainerSpec, File, Image
from ..model.credentials import UserIdentity
from ..model.database_type import DatabaseType, render_all, render_values
from ..model.errors import ForeignContainer, InstanceNotFound, hidden
from ..model.instance import Credentials, Instance, InstanceStatus
from ..model.request import (
    LABEL,
    SCHEMA,
    CreateInstanceRequest,
    container_name,
    is_executable,
    seed_of,
)
from ..util import clock

__tracebackhide__ = hidden

INSIDE = "localhost"
"""The server's host, seen from its own container."""


@dataclass(frozen=True)
class Ownership:
    """The labels of a container of ours, parsed."""

    id: UUID
    name: str
    type: str
    image: str
    project: str
    fingerprint: str
    run: str
    kept: bool
    shared: bool
    volume: str
    created_at: datetime
    facts: Mapping[str, Any]

    @classmethod
    def of(cls, container: Container) -> Ownership:
        """Parse the labels.

        Raises:
            ForeignContainer: They are not ours, or of an incompatible version of pytest-ldb, or
                were inherited from an image that was made of a container of ours.
        """
        labels = container.labels
        named = container_name(labels.get(f"{LABEL}name", "")) == container.name
        if labels.get(f"{LABEL}schema") == SCHEMA and named:
            with suppress(KeyError, ValueError, TypeError):
                return cls._parsed(labels)
        raise ForeignContainer(
            container.name,
            "a container that this version of pytest-ldb did not create has this name",
            evidence=f"container {container.id[:12]}, labels {dict(labels) or 'none'}",
            remedy=f"Remove it if you can: docker rm --force --volumes {container.name}",
        )

    @classmethod
    def _parsed(cls, labels: Mapping[str, str]) -> Ownership:
        facts = json.loads(labels[f"{LABEL}facts"])
        _ = facts["user"]
        return cls(
            id=UUID(labels[f"{LABEL}id"]),
            name=labels[f"{LABEL}name"],
            type=labels[f"{LABEL}type"],
            image=labels[f"{LABEL}image"],
            project=labels[f"{LABEL}project"],
            fingerprint=labels[f"{LABEL}fingerprint"],
            run=labels[f"{LABEL}run"],
            kept=labels[f"{LABEL}kept"] == "true",
            shared=labels[f"{LABEL}shared"] == "true",
            volume=labels.get(f"{LABEL}volume", ""),
            created_at=datetime.fromisoformat(labels[f"{LABEL}created"]),
            facts=facts,
        )


def those_of_ours(containers: Iterable[Container]) -> list[Container]:
    """Return the containers that are ours, leaving out those with only some of our labels."""
    ours = []
    for container in containers:
        with suppress(ForeignContainer):
            Ownership.of(container)
            ours.append(container)
    return ours


def check_password(
    container: Container, database_type: DatabaseType, credentials: Credentials
) -> None:
    """Check that a server was given its password: only this user can derive it.

    Anyone who may use the engine can create a container with our names and labels. Commands that
    run there, and the tests, would tell it the password and their data.

    Raises:
        ForeignContainer: It was given another one.
    """
    server = database_type.server
    declared = (
        *(*database_type.command, *server.arguments, *server.tuning),
        *(*server.credential_environment.values(), *database_type.environment.values()),
    )
    takes_one = any("{password}" in text for text in declared)
    if takes_one and not any(credentials.password in text for text in container.configuration):
        raise ForeignContainer(
            container.name,
            "the container with this name does not have the password that only you can derive, "
            "so another user has created it",
            evidence=f"container {container.id[:12]}",
            remedy=f"Remove it if you can: docker rm --force --volumes {container.name}",
        )


def container_spec(
    request: CreateInstanceRequest, image: Image, credentials: Credentials
) -> ContainerSpec:
    """Return the container for a request; :func:`identified` gives it an id."""
    database_type = request.database_type
    values = values_inside(database_type, credentials)
    environment = render_values(database_type.server.credential_environment, values)
    return ContainerSpec(
        name=request.container,
        image=request.image,
        command=render_all(request.arguments, values),
        environment={**environment, **database_type.environment},
        labels=_labels(request),
        port=database_type.port,
        bind=request.bind,
        host_port=request.host_port,
        volumes=volumes_for(request.volume, image.volumes),
        memory_volumes=image.volumes if request.in_memory else (),
        data_mib=database_type.data_mib,
        memory_mib=database_type.memory_mib,
        shm_mib=database_type.shm_mib,
        auto_remove=request.shared and not request.kept,
        files={
            f"{database_type.server.init_directory}/{p.name}": File(
                p.read_bytes(), executable=is_executable(p)
            )
            for p in database_type.init_scripts
        },
    )


def identified(spec: ContainerSpec, identity: UUID) -> ContainerSpec:
    """Return the container with the id of its instance and the present time as its creation."""
    created = clock.now().isoformat()
    labels = {f"{LABEL}id": str(identity), f"{LABEL}created": created}
    return replace(spec, labels={**spec.labels, **labels})


def _labels(request: CreateInstanceRequest) -> dict[str, str]:
    """Return the labels that mark a container as ours, and describe it."""
    return {
        f"{LABEL}schema": SCHEMA,
        f"{LABEL}name": request.name,
        f"{LABEL}type": request.database_type.name,
        f"{LABEL}image": request.image,
        f"{LABEL}project": request.scope.project,
        f"{LABEL}fingerprint": request.fingerprint,
        f"{LABEL}run": request.scope.run,
        f"{LABEL}kept": str(request.kept).lower(),
        f"{LABEL}shared": str(request.shared).lower(),
        f"{LABEL}user": request.scope.user,
        f"{LABEL}volume": request.volume,
        f"{LABEL}facts": json.dumps(request.facts),
    }


def volumes_for(volume: str, paths: Sequence[str]) -> dict[str, str]:
    """Return the name of the volume for each path that holds data."""
    if not volume or len(paths) == 1:
        return dict.fromkeys(paths if volume else (), volume)
    return {path: f"{volume}{path.replace('/', '-')}" for path in paths}


def values_inside(database_type: DatabaseType, credentials: Credentials) -> dict[str, str]:
    """Return the values of the placeholders inside the container."""
    return {
        "user": credentials.user,
        "password": str(credentials.password),
        "host": INSIDE,
        "port": str(database_type.port),
        "database": database_type.server.initial_database,
        "template": database_type.server.initial_database,
    }


def client_environment(database_type: DatabaseType, credentials: Credentials) -> dict[str, str]:
    """Return the environment in which the clients beside a server log in."""
    values = values_inside(database_type, credentials)
    return render_values(database_type.client.environment, values)


def instance_of(container: Container, credentials: Credentials) -> Instance:
    """Return the instance of a container of ours."""
    ours = Ownership.of(container)
    return Instance(
        id=ours.id,
        name=ours.name,
        database_type=ours.type,
        image=ours.image,
        credentials=credentials,
        created_at=ours.created_at,
        address=container.address,
        status=InstanceStatus.of(container.state, container.exit_code),
    )


def found_instance(container: Container, identity: UserIdentity) -> Instance:
    """Return the instance of a container of this user, which any process may have created."""
    ours = Ownership.of(container)
    password = identity.password(seed_of(ours.volume, ours.fingerprint))
    return instance_of(container, Credentials(ours.facts["user"], password))


def not_found(name: str) -> InstanceNotFound:
    """Return the error for an unknown name."""
    return InstanceNotFound(
        name,
        "pytest-ldb has no server of this name",
        remedy="Lifecycle.list() and `pytest-ldb list` list the existing servers.",
    )
