"""A process that outlives this one just long enough to end a container."""

from __future__ import annotations

import sys
from contextlib import suppress

from ...model.errors import EngineFailed, ShellLost
from ...model.request import LABEL
from ...util.detached import detached
from ...util.poll import tries
from ..protocol import Container, Engine

APPEARS_WITHIN_S = 5.0
PAUSE_S = 0.25
"""The engine may still be creating the container when the process ends."""

_SCRIPT = """
import sys
if not sys.stdin.read():
    from importlib import import_module
    from pytest_ldb.engines.docker.guard import end_whatever_appears
    identity, module, name, *arguments = sys.argv[1:]
    end_whatever_appears(getattr(import_module(module), name)(*arguments), identity)
"""


class ProcessGuard:
    """Ends a container if this process ends before the guard is released.

    Between the creation and the first open shell, nothing inside the container can notice that this
    process has ended. The guard reads its standard input, which the kernel closes then, however the
    process ends. It imports what it needs only after that, so that it costs little when it is not
    needed.

    Args:
        identity: The value of the container's label ``pytest-ldb.id``, which is unique.
        engine: The class of the engine that it is in.
        arguments: What that class is made with.
    """

    def __init__(self, identity: str, engine: type[Engine], *arguments: str) -> None:
        again = (identity, engine.__module__, engine.__name__, *arguments)
        try:
            self._process = detached(_SCRIPT, *again, needs=[engine.__module__])
        except OSError as error:  # For example, this user may have no more processes.
            fact = "the process that removes servers of killed runs cannot be started"
            raise EngineFailed(sys.executable, fact, evidence=str(error)) from error

    def release(self) -> None:
        """End the guard; the container stays."""
        if self._process.poll() is None:
            self._process.communicate(b"released")


def end_whatever_appears(engine: Engine, identity: str) -> None:
    """End the containers with this ``pytest-ldb.id``, even one that is just being created.

    Volumes that were made for them hold half-initialised data, so they are removed too.
    """
    ours = {f"{LABEL}id": identity}
    for _ in tries(APPEARS_WITHIN_S, pause_s=PAUSE_S):
        containers = engine.containers(ours)
        for container in containers:
            _end(engine, container)
        if containers:
            break
    # Even if no container came: its process may have been killed between removing the two.
    for volume in engine.volumes(ours):
        engine.remove_volume(volume.name)


def _end(engine: Engine, container: Container) -> None:
    """End a container; a shared server that other processes use is left to the last of them."""
    if container.state != "running" or container.labels.get(f"{LABEL}shared") != "true":
        engine.remove(container.id)
    elif container.labels.get(f"{LABEL}kept") != "true":
        with suppress(ShellLost, EngineFailed):
            engine.shell(container.id, environment={}, ephemeral=True).close()
