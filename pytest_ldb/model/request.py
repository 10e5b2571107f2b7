"""One server, fully decided, before anything is started."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .database_type import DatabaseType
from .errors import InvalidRequest

LABEL = "pytest-ldb."
"""The prefix of the labels that make a container ours."""

PREFIX = "ldb-"
"""What the names of our containers and volumes begin with."""

BUILDING = "cache-"
"""What the names of servers that are being cached begin with."""

SCHEMA = "1"
"""Raised whenever a container made by an older version must not be used by this one."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Whose server it is: the user's and the checkout's, and the run's.

    Args:
        project: ``<slug>-<8 hex>`` of the project's root directory and of the user: the same path
            may be another project on another machine.
        run: The id of the run, 8 hex digits.
        user: The user's mark, see :class:`~.credentials.UserIdentity`.
    """

    project: str
    run: str
    user: str = ""

    @classmethod
    def of(cls, root: Path, run: str, user: str) -> Scope:
        """Return the scope of a user's run in the checkout at ``root``."""
        slug = "".join(c if c.isascii() and c.isalnum() else "-" for c in root.name.lower())
        slug = slug.strip("-")[:24].strip("-") or "project"
        digest = hashlib.sha256(user.encode() + b" " + os.fsencode(root.resolve())).hexdigest()[:8]
        return cls(project=f"{slug}-{digest}", run=run, user=user)

    @classmethod
    def standalone(cls, user: str) -> Scope:
        """Return the scope of a user's servers that belong to no project."""
        return cls(project="", run="", user=user)


@dataclass(frozen=True, kw_only=True)
class CreateInstanceRequest:
    """One server, fully decided: equal requests share a server.

    Args:
        database_type: What to run.
        image: The reference to run, prefix and overrides applied.
        image_id: The id that the reference had on the engine.
        image_command: The command that the image declares.
        scope: Whose it is.
        kept: Whether it outlives the run.
        shared: Whether other processes of the run use it too. A server that is not shared keeps its
            data when it is stopped; unless kept, it is removed when its process ends.
        durable: Whether data must survive a crash; otherwise it is held in memory.
        bind: The address of the engine's host that the port is published on.
        suffix: Distinguishes servers of one type in one run.
        own_name: The name that the user has given it; empty: it is derived.
        host_port: The port to publish it on; None: one that the engine chooses.
        volume: The name of the volume that holds its data, which outlives it; empty: none does.
    """

    database_type: DatabaseType
    image: str
    image_id: str
    scope: Scope
    kept: bool = False
    shared: bool = True
    durable: bool = False
    bind: str = "127.0.0.1"
    suffix: str = ""
    own_name: str = ""
    host_port: int | None = None
    volume: str = ""
    image_command: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The part of the name that all servers of this type in this checkout share."""
        return f"{self.scope.project}-{self.database_type.name}"

    @property
    def name(self) -> str:
        """Unique per request and, unless kept, per run."""
        if self.own_name:
            return self.own_name
        ending = self.fingerprint[:8] if self.kept else self.scope.run
        return "-".join(filter(None, (self.family, ending, self.suffix)))

    @property
    def container(self) -> str:
        """The name of the container."""
        return container_name(self.name)

    @property
    def in_memory(self) -> bool:
        """Whether the data lives in memory: not if it must survive a crash or a stop."""
        return self.shared and not self.durable

    @property
    def cached(self) -> bool:
        """Whether the initialised data is worth caching, and can be put into memory."""
        return self.database_type.server.cached and self.in_memory

    @property
    def arguments(self) -> tuple[str, ...]:
        """What follows the image's entrypoint (template)."""
        command, server = self.database_type.command, self.database_type.server
        ours = (*server.arguments, *(server.tuning if self.in_memory else ()))
        # As in `docker run IMAGE …`: a first word that is not an option names the program, and
        # replaces the command of the image.
        if command and not command[0].startswith("-"):
            return (command[0], *ours, *command[1:])
        declared = self.image_command
        if server.program and declared[:1] == (server.program,):
            return (*declared, *ours, *command)
        return (*filter(None, (server.program,)), *ours, *command) if ours else command

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Everything that changes how the server behaves, by name; without passwords of ours."""
        database_type, server = self.database_type, self.database_type.server
        return {
            "schema": SCHEMA,
            "type": database_type.name,
            "image": self.image,
            "image id": self.image_id,
            "command": list(self.arguments),
            "environment": {**server.credential_environment, **database_type.environment},
            "init scripts": {
                f"{server.init_directory}/{path.name}": _digest(path) + "+x" * is_executable(path)
                for path in database_type.init_scripts
            },
            "durable": self.durable,
            "in memory": self.in_memory,
            "data": list(server.data_paths),
            "bind": self.bind,
            "port": database_type.port,
            "user": server.user,
            "initial database": server.initial_database,
            "limits": [database_type.data_mib, database_type.memory_mib, database_type.shm_mib],
        }

    @cached_property
    def fingerprint(self) -> str:
        """A digest of :attr:`facts`, 64 hex digits."""
        return hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()

    @property
    def seed(self) -> str:
        """What the password is derived from; data in a volume keeps its password in any server."""
        return seed_of(self.volume, self.fingerprint)

    def difference(self, other_facts: Mapping[str, Any]) -> str:
        """Return in one line what differs from the facts that another server was made from."""
        changed = [
            _change(name, other_facts.get(name), fact)
            for name, fact in self.facts.items()
            if other_facts.get(name) != fact
        ]
        # 12 digits of an image's id, as the Docker client shows them.
        return re.sub(r"sha256:([0-9a-f]{12})[0-9a-f]+", r"\1", "; ".join(changed))


def container_name(server: str) -> str:
    """Return the name of the container of a server."""
    return f"{PREFIX}{server}"


def server_name(text: str) -> str:
    """Return the name of a server, given that or the name of its container."""
    return text.removeprefix(PREFIX)


def seed_of(volume: str, fingerprint: str) -> str:
    """Return what a server's password is derived from."""
    return f"volume {volume}" if volume else fingerprint


def _change(name: str, before: Any, now: Any) -> str:
    """Return what changed: items of lists, but only names of mappings; values may be secret."""
    if isinstance(before, dict) and isinstance(now, dict):
        names = sorted(n for n in {**before, **now} if before.get(n) != now.get(n))
        return f"{name} changed in {', '.join(names)}"
    if not isinstance(before, list) or not isinstance(now, list):
        return f"{name} was {before}, is {now}"
    lost = [part for part in before if part not in now]
    gained = [part for part in now if part not in before]
    parts = ("lost", lost), ("gained", gained)
    return f"{name} " + ", ".join(f"{word} {some}" for word, some in parts if some)


def is_executable(script: Path) -> bool:
    """Whether an init script is run as a program; images source other scripts of the shell."""
    return os.access(script, os.X_OK)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise InvalidRequest(
            str(path), "this init script cannot be read", evidence=str(error)
        ) from error
