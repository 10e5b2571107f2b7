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
    from pytest_ldb.runtimes.docker import DockerRuntime
    from pytest_ldb.runtimes.guard import remove_whatever_appears
    remove_whatever_appears(DockerRuntime(), sys.argv[1])
"""


class ProcessGuard:
    """Has a container removed, should this process end before the guard is released.

    Between the engine's "created" and the first open shell nothing inside the container could
    notice that we are gone. The guard reads its standard input, which the kernel closes when this
    process ends; only then does it import anything.
    """

    def __init__(self, container: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SCRIPT, container],
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
