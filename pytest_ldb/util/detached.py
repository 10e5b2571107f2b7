"""Processes that outlive this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def detached(script: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, which Ctrl-C and killed process groups do not end.

    Args:
        script: Python; it finds the same modules as this process.
        arguments: For the script.

    Returns:
        The process; its standard input is a pipe, which the kernel closes when this process ends.
    """
    # Relative entries would mean something else in another working directory.
    places = [str(Path(entry).absolute()) for entry in sys.path]
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        cwd="/",  # The present directory may be temporary.
        start_new_session=True,
    )
