"""Starting servers. A start that fails or is interrupted leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from ..engines.protocol import Container, ContainerSpec, Engine, Guard, Watch
from ..model.database_type import DatabaseType
from ..model.errors import LdbError, PortTaken, hidden
from ..model.instance import Credentials
from ..model.request import LABEL
from .container_spec import identified
from .readiness import wait_until_ready

__tracebackhide__ = hidden

T = TypeVar("T")

MOST_PORTS = 3
"""How often a container is started if other programs take the ports that the engine chooses.

A rootless engine does not see all ports that are in use.
"""

_INTERRUPTED: list[Guard] = []
"""Guards of servers whose start was interrupted, held until the process ends.

The engine may go on creating such a server; only its guard looks for it for long enough.
"""


@dataclass(frozen=True)
class Starter:
    """Starts servers.

    Args:
        engine: Where they run.
        timeout_s: The most time that a server may take to become ready.
    """

    engine: Engine
    timeout_s: float

    def start_new(
        self, spec: ContainerSpec, identity: UUID, use: Callable[[Watch], T]
    ) -> tuple[T, Guard]:
        """Create a container, start it and call ``use``.

        Args:
            spec: The container.
            identity: The id of its instance.
            use: Opens a shell, or waits until the server is ready.

        Returns:
            The result of ``use``, and the guard that ends the container if this process ends
            before the guard is released.

        Raises:
            LdbError: It could not be created or started, or ``use`` failed; nothing is left.
        """
        guard = self.engine.guard(str(identity))
        try:
            return use(self._started(identified(spec, identity))), guard
        except LdbError:
            self.remove(identity)
            guard.release()
            raise
        except BaseException:  # For example KeyboardInterrupt.
            _INTERRUPTED.append(guard)
            self.remove(identity)
            raise

    def _started(self, spec: ContainerSpec, ports: int = MOST_PORTS) -> Watch:
        """Create a container and start it, again if the port that the engine chose is taken."""
        self.engine.create(spec)
        try:
            return self.engine.start(spec.name)
        except PortTaken:
            if spec.host_port is not None or ports == 1:
                raise
        self.engine.remove(spec.name)
        return self._started(spec, ports - 1)

    def wait(
        self,
        database_type: DatabaseType,
        credentials: Credentials,
        container: Container | None,
        watch: Watch,
        *,
        subject: str = "",
        look: Callable[[], None] = lambda: None,
    ) -> None:
        """Return when a server is ready.

        Args:
            database_type: What it runs.
            credentials: Its superuser, whose password is masked in its log.
            container: As the engine described it after its start; None if it has ended since.
            watch: Evidence since its start.
            subject: What to call it in messages, instead of its type.
            look: Called repeatedly while it is not ready.

        Raises:
            StartFailed: It ended, or did not become ready in time.
        """
        wait_until_ready(
            subject or database_type.name,
            container.address if container else None,
            database_type.ready,
            watch,
            timeout_s=self.timeout_s,
            secrets=[credentials.password],
            look=look,
        )

    def remove(self, identity: UUID) -> None:
        """Remove the container and the volumes that were made for an instance."""
        made_for_it = {f"{LABEL}id": str(identity)}
        with suppress(LdbError):  # The error that led here is the one to report.
            for container in self.engine.containers(made_for_it):
                self.engine.remove(container.id)
            for volume in self.engine.volumes(made_for_it):
                self.engine.remove_volume(volume.name)
