"""Resolves a database type and the settings into a server, decided in every detail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from ..engines.protocol import ContainerSpec, Engine, Image
from ..model.credentials import UserIdentity
from ..model.database_type import DatabaseType
from ..model.errors import hidden
from ..model.instance import Credentials
from ..model.request import CreateInstanceRequest, Scope
from ..model.settings import Settings
from .container_spec import client_environment, container_spec, values_inside

__tracebackhide__ = hidden


@dataclass(frozen=True, kw_only=True)
class ResolvedServer:
    """A server that is decided in every detail. It may not exist yet.

    Args:
        request: What was asked for; equal requests share a server.
        spec: The container to create if there is none.
        credentials: Those of its superuser.
        image: What it runs, as the engine describes it.
    """

    request: CreateInstanceRequest
    spec: ContainerSpec
    credentials: Credentials = field(repr=False)
    image: Image

    @property
    def database_type(self) -> DatabaseType:
        """What it runs."""
        return self.request.database_type

    @cached_property
    def values(self) -> Mapping[str, str]:
        """The values of the placeholders beside the server."""
        return values_inside(self.database_type, self.credentials)

    @cached_property
    def client_environment(self) -> Mapping[str, str]:
        """The environment of the clients beside the server, with which they log in."""
        environment = client_environment(self.database_type, self.credentials)
        return {**environment, "LDB_PROFILE": self.database_type.client.profile}


def resolved(
    request: CreateInstanceRequest, image: Image, identity: UserIdentity
) -> ResolvedServer:
    """Return the server for a request.

    Args:
        request: What was asked for.
        image: The image that the engine has for the request's reference.
        identity: Derives the password.
    """
    credentials = Credentials(request.database_type.server.user, identity.password(request.seed))
    spec = container_spec(request, image, credentials)
    return ResolvedServer(request=request, spec=spec, credentials=credentials, image=image)


@dataclass(frozen=True)
class Planner:
    """Resolves servers.

    Args:
        engine: Where they are going to run.
        settings: What the user decided.
        scope: Whose they are.
        identity: Derives the passwords.
        say: Takes a line for the user.
    """

    engine: Engine
    settings: Settings
    scope: Scope
    identity: UserIdentity
    say: Callable[[str], None]

    def shared(self, database_type: DatabaseType, *, pull: str = "") -> ResolvedServer:
        """Return the server that all processes of this run share.

        Args:
            database_type: What to run.
            pull: When to pull the image, instead of what the settings say.

        Raises:
            ImageUnavailable: The image is not on the engine and cannot be pulled.
        """
        return self._resolve(database_type, kept=self.settings.keep, pull=pull)

    def private(
        self, database_type: DatabaseType, *, suffix: str, image: str | None = None
    ) -> ResolvedServer:
        """Return a server that this process has to itself.

        Args:
            database_type: What to run.
            suffix: Distinguishes it from the others.
            image: The reference to run instead of the one in the settings.

        Raises:
            ImageUnavailable: As above.
        """
        return self._resolve(database_type, shared=False, suffix=suffix, image=image)

    def standalone(
        self, database_type: DatabaseType, *, image: str | None, port: int | None
    ) -> ResolvedServer:
        """Return a server that stays until the user deletes it; :meth:`named` gives it a name.

        Args:
            database_type: What to run.
            image: The reference to run instead of the one in the settings.
            port: The port to publish it on; None for one that the engine chooses.

        Raises:
            ImageUnavailable: As above.
        """
        server = self._resolve(database_type, kept=True, shared=False, image=image)
        return resolved(replace(server.request, host_port=port), server.image, self.identity)

    def named(self, server: ResolvedServer, name: str, *, volume: str = "") -> ResolvedServer:
        """Return a server under a name of its own, with its data in a volume if one is given."""
        request = replace(server.request, own_name=name, volume=volume)
        return resolved(request, server.image, self.identity)

    def _resolve(
        self,
        database_type: DatabaseType,
        *,
        kept: bool = False,
        shared: bool = True,
        suffix: str = "",
        image: str | None = None,
        pull: str = "",
    ) -> ResolvedServer:
        reference = image or self.settings.image_for(database_type.name, database_type.image)
        bind = self.engine.bind(self.settings.bind)
        found = self.engine.image(reference, pull=pull or self.settings.pull, say=self.say)
        request = CreateInstanceRequest(
            database_type=database_type,
            image=reference,
            image_id=found.id,
            image_command=found.command,
            scope=self.scope,
            kept=kept,
            shared=shared,
            # Tests stop and restart private servers, whose data must survive that.
            durable=self.settings.durable or not shared,
            bind=bind,
            suffix=suffix,
        )
        volumes = database_type.server.data_paths or found.volumes
        return resolved(request, replace(found, volumes=volumes), self.identity)
