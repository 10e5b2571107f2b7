"""From a request to a container that runs and that this process holds."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import uuid4

from ..engines.protocol import Container, Engine, Exit, Image, Watch
from ..model.errors import EngineFailed, LdbError, ShellLost, StartFailed, hidden
from ..model.instance import Credentials, Instance
from ..model.request import LABEL, CreateInstanceRequest
from ..shell.shell import Shell
from .container_spec import client_environment, container_spec, credentials_for
from .readiness import LOG_LINES, died

__tracebackhide__ = hidden

ENDS_WITHIN_S = 1.0
UNKNOWN = Exit(code=255, out_of_memory=False)


@dataclass(frozen=True)
class StartedServer:
    """A running container, and this process's hold on it.

    Args:
        container: As the engine described it.
        shell: The hold.
        origin: How it came: ``created``, ``restored``, ``restarted`` or ``attached``.
        watch: Evidence since its start, where this process started it.
    """

    container: Container
    shell: Shell
    origin: str
    watch: Watch | None = None


@dataclass(frozen=True)
class PendingServer:
    """A server that this process holds, and that need not be ready.

    Args:
        instance: The server.
        origin: How it came, as above.
        start_s: How long it took until the container ran.
        ready_s: Not known yet.
    """

    instance: Instance
    origin: str
    start_s: float
    ready_s: None = None


@dataclass(frozen=True)
class Starter:
    """Starts containers and takes hold of them.

    Args:
        engine: Where they live.
        secret: Passwords derive from it.
    """

    engine: Engine
    secret: bytes

    def create(
        self, request: CreateInstanceRequest, image: Image, cached: str | None = None
    ) -> StartedServer:
        """Create the container and start it; whatever happens, it is held or gone.

        Args:
            request: What it answers.
            image: What to run.
            cached: The id of the image to make it from instead.

        Raises:
            ImageUnavailable: The image has gone meanwhile.
            NameTaken: The engine has one of this name already.
            StartFailed: It ended at once.
        """
        identity = uuid4()
        spec = container_spec(request, image, self.credentials(request), identity)
        if cached is not None:
            spec = replace(spec, image=cached, files={})  # They have been run.
        guard = self.engine.guard(str(identity))
        try:
            self.engine.create(spec)
            return self.start(request, "created" if cached is None else "restored")
        except BaseException:
            with suppress(LdbError):
                for container in self.engine.containers({f"{LABEL}id": str(identity)}):
                    self.discard(container.id)
            raise
        finally:
            guard.release()

    def start(self, request: CreateInstanceRequest, origin: str) -> StartedServer:
        """Start the container that there is.

        Raises:
            StartFailed: It ended at once.
        """
        watch = self.engine.start(request.container)
        try:
            shell = self.open_shell(request)
        except (ShellLost, EngineFailed):
            ended = watch.ended(ENDS_WITHIN_S)
            if ended is None:
                raise
            raise self._died(request, ended, watch) from None
        container = self.engine.find(request.container)
        if container is None:
            shell.close()
            raise self._died(request, watch.ended(ENDS_WITHIN_S) or UNKNOWN, watch)
        return StartedServer(container, shell, origin, watch)

    def open_shell(self, request: CreateInstanceRequest, container: str = "") -> Shell:
        """Take hold of the container, which runs.

        Args:
            request: What it answers.
            container: Its id, where that is known.

        Raises:
            ShellLost: It is ending.
        """
        return self.engine.shell(
            container or request.container,
            environment=self.client_environment(request),
            ephemeral=not request.kept,
        )

    def client_environment(self, request: CreateInstanceRequest) -> dict[str, str]:
        """Return what the clients of the server find in their environment."""
        database_type = request.database_type
        environment = client_environment(database_type, self.credentials(request))
        return {**environment, "LDB_PROFILE": database_type.client_profile}

    def credentials(self, request: CreateInstanceRequest) -> Credentials:
        """Return the superuser of the servers that equal requests share."""
        return credentials_for(request, self.secret)

    def discard(self, identity: str) -> None:
        """Remove a container that failed; what is wrong is being said already."""
        with suppress(EngineFailed):
            self.engine.remove(identity)

    def _died(self, request: CreateInstanceRequest, ended: Exit, watch: Watch) -> StartFailed:
        password = self.credentials(request).password
        log = watch.log(LOG_LINES).replace(password, "********")
        return died(request.database_type.name, ended, log)
