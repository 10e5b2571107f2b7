"""The objects that the commands share: settings, engine, and the user's servers."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cached_property

import click

from ..databases import BUILTIN
from ..engines.docker.engine import DockerEngine
from ..lifecycle.cache import ServerCache
from ..lifecycle.commands import Lifecycle
from ..lifecycle.owned import OwnedServers
from ..lifecycle.planner import Planner
from ..model.credentials import UserIdentity, state_directory
from ..model.database import Database
from ..model.database_type import DatabaseType
from ..model.errors import InvalidRequest
from ..model.instance import type_named
from ..model.request import LABEL, Scope
from ..model.settings import Settings
from ..util.env import by_type, images_in
from .inventory import Inventory, Server
from .output import say
from .standalone import StandaloneServers


class Context:
    """The objects that commands use, created on first use.

    Args:
        settings: The settings from the command line and the environment.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state = state_directory()

    @cached_property
    def engine(self) -> DockerEngine:
        """The Docker engine."""
        return DockerEngine(patience_s=self.settings.timeout_s)

    @cached_property
    def identity(self) -> UserIdentity:
        """The identity of the user, who owns the servers."""
        return UserIdentity.load(self.state)

    @cached_property
    def inventory(self) -> Inventory:
        """The servers of the user."""
        return Inventory(self.engine, self.identity)

    @cached_property
    def lifecycle(self) -> Lifecycle:
        """The lifecycle commands, restricted to the servers of the user."""
        whose = {f"{LABEL}user": self.identity.mark}
        return Lifecycle(self.planner, BUILTIN, whose)

    @cached_property
    def planner(self) -> Planner:
        """Plans which servers to start."""
        return Planner(
            self.engine, self.settings, Scope.standalone(self.identity.mark), self.identity, say
        )

    @cached_property
    def owned(self) -> OwnedServers:
        """The servers that are being created."""
        return OwnedServers(self.engine, self.settings.timeout_s)

    @property
    def standalone(self) -> StandaloneServers:
        """Creates standalone servers."""
        return StandaloneServers(self.planner, self.owned)

    @cached_property
    def cache(self) -> ServerCache:
        """The cache of initialised servers."""
        return ServerCache(self.state / "cache", self.identity.mark, self.engine.url)

    def servers(self, names: Iterable[str]) -> list[Server]:
        """Return the servers with these names, without duplicates."""
        found = [self.inventory.find(name) for name in names]
        return list({server.instance.id: server for server in found}.values())

    def database(self, server: Server, name: str = "") -> Database:
        """Return a database of a server; by default its initial database."""
        database_type = self.database_type(server)
        return Database(
            server.instance, name or database_type.server.initial_database, database_type
        )

    def database_type(self, server: Server) -> DatabaseType:
        """Return the database type of a server.

        Raises:
            InvalidRequest: A project declares the type, so the command does not know it.
        """
        try:
            return type_named(server.instance.database_type, BUILTIN)
        except InvalidRequest as error:
            raise InvalidRequest(
                server.instance.name,
                f"its database type, {server.instance.database_type}, is declared in a project, "
                "whose files this command does not read",
                remedy="Only `list`, `status`, `logs`, `stop` and `delete` work on this server.",
            ) from error


def settings_from(**given: object) -> Settings:
    """Return the settings from command line options and the environment."""
    names = [database_type.name for database_type in BUILTIN]
    try:
        images = images_in(os.environ.get("LDB_IMAGE", ""))
    except ValueError as error:
        raise click.UsageError(f"LDB_IMAGE: {error}.") from error
    images = {_type_name(name): image for name, image in images.items()}
    images |= by_type("IMAGE", names, os.environ)
    return Settings(images=images, **{n: v for n, v in given.items() if v is not None})  # type: ignore[arg-type]


def _type_name(given: str) -> str:
    """Replace an alias by the type's name; keep unknown names, as a project may declare them."""
    known = (database_type for database_type in BUILTIN if database_type.answers_to(given))
    return next((database_type.name for database_type in known), given)


pass_context = click.make_pass_decorator(Context)
