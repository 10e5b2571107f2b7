"""A process that outlives this one just long enough to remove a container."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from ..core.request import LABEL
from ..core.runtime import Runtime

TRIES = 20
PAUSE_S = 0.25

_SCRIPT = """
import sys
if not sys.stdin.read():
    from importlib import import_module
    from pytest_ldb.runtimes.guard import remove_whatever_appears
    container, module, name, *arguments = sys.argv[1:]
    remove_whatever_appears(getattr(import_module(module), name)(*arguments), container)
"""


class ProcessGuard:
    """Has a container removed, should this process end before the guard is released.

    Between the engine's "created" and the first open shell nothing inside the container could
    notice that we are gone. The guard reads its standard input, which the kernel closes when this
    process ends; only then does it import anything.

    Args:
        container: The name of the container.
        runtime: The class of the runtime that it is in.
        arguments: What that class is made with.
    """

    def __init__(self, container: str, runtime: type[Runtime], *arguments: str) -> None:
        again = (container, runtime.__module__, runtime.__name__, *arguments)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SCRIPT, *again],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )

    def release(self) -> None:
        """End the guard; the container stays."""
        if self._process.poll() is None:
            self._process.communicate(b"released")


def remove_whatever_appears(runtime: Runtime, container: str) -> None:
    """Remove a container of this name if it is ours, even one only just being created."""
    for _ in range(TRIES):
        found = runtime.find(container)
        if found is not None and f"{LABEL}id" in found.labels:
            runtime.remove(found.id)
            return
        time.sleep(PAUSE_S)
