"""A server: its address, its credentials and its status."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING
from uuid import UUID

from .errors import InvalidRequest, hidden

__tracebackhide__ = hidden

if TYPE_CHECKING:
    from .database_type import DatabaseType


MASK = "********"
"""Shown in place of a password."""


class InstanceStatus(str, Enum):
    """The status of a server; the values are those in JSON."""

    CREATING = "creating"
    RUNNING = "running"
    STOPPED = "stopped"
    ERROR = "error"

    @classmethod
    def of(cls, state: str, exit_code: int | None) -> InstanceStatus:
        """Derive the status from the engine's word for a container's state and its exit code.

        A paused container does not answer, so it counts as stopped. One that the engine restarts
        counts as an error after a failure, and as being created after a clean exit.
        """
        if state == "running":
            return cls.RUNNING
        if state == "created" or (state == "restarting" and not exit_code):
            return cls.CREATING
        # 128 + the number of a signal: SIGINT or SIGTERM, which `docker stop` sends.
        ended_by_signal_of_stop = exit_code in (None, 0, 128 + 2, 128 + 15)
        if state in ("restarting", "dead") or (state == "exited" and not ended_by_signal_of_stop):
            return cls.ERROR
        return cls.STOPPED


@dataclass(frozen=True)
class Address:
    """Where a server listens, seen from this process."""

    host: str
    port: int


@dataclass(frozen=True)
class Credentials:
    """User and password of a server; the repr hides the password."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A server that exists.

    Args:
        id: Unique, given at creation, never reused.
        name: Its container is called ``ldb-<name>``.
        database_type: The name of its :class:`DatabaseType`.
        image: The reference that it was created from.
        status: Its status when this value was made; ``Lifecycle.status`` returns the present one.
        address: None while it is not running; the port may change with every start.
        credentials: The superuser's.
        created_at: In UTC.
    """

    id: UUID
    name: str
    database_type: str
    image: str
    credentials: Credentials
    created_at: datetime
    address: Address | None = None
    status: InstanceStatus = InstanceStatus.STOPPED

    def to_json(self) -> str:
        """Return this instance as JSON, password included."""
        address = self.address and {"host": self.address.host, "port": self.address.port}
        return json.dumps(
            {
                "id": str(self.id),
                "name": self.name,
                "database_type": self.database_type,
                "image": self.image,
                "status": self.status.value,
                "address": address,
                "credentials": {
                    "user": self.credentials.user,
                    "password": self.credentials.password,
                },
                "created_at": self.created_at.isoformat(),
            }
        )

    @classmethod
    def from_json(cls, text: str, types: Iterable[DatabaseType]) -> Instance:
        """Read what :meth:`to_json` wrote; the type may be given by an alias, words in any case.

        Raises:
            InvalidRequest: The text is not JSON, or a value is missing or wrong.
        """
        try:
            data = json.loads(text)
            address = data.get("address")
            return cls(
                id=UUID(data["id"]),
                name=data["name"],
                database_type=type_named(data["database_type"], types).name,
                image=data["image"],
                status=InstanceStatus(data.get("status", "stopped").lower()),
                address=address and Address(address["host"], address["port"]),
                credentials=Credentials(**data["credentials"]),
                created_at=datetime.fromisoformat(data["created_at"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidRequest(
                "an instance in JSON",
                "it cannot be read",
                evidence=f"{type(error).__name__}: {error}",
                remedy="Pass the text that Instance.to_json() returned.",
            ) from error


def type_named(name: str, types: Iterable[DatabaseType]) -> DatabaseType:
    """Return the type with this name or alias.

    Raises:
        InvalidRequest: There is none; the message lists the known types.
    """
    known = list(types)
    for candidate in known:
        if candidate.answers_to(name):
            return candidate
    raise InvalidRequest(
        repr(name),
        "no database type has this name",
        remedy=f"There are: {', '.join(candidate.name for candidate in known)}.",
    )
