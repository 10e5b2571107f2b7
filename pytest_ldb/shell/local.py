"""Shells on this machine, for servers that are not in a container of ours."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

from ..util.pipes import Pipes
from .script_files import lease_script
from .shell import Shell


class ProcessStream:
    """A script that runs on this machine.

    It has a session of its own, so that Ctrl-C and a killed process group do not end it before
    it has run the commands that were deferred.
    """

    def __init__(self, script: str, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        self._pipes = Pipes(self._process)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._pipes.send(data)

    def receive(self, timeout_s: float) -> bytes:
        """Return what came."""
        return self._pipes.receive(timeout_s)

    def close(self) -> None:
        """Close its standard input; it ends by itself."""
        self._pipes.close()
        # The script may still run for a while. Without this, Popen warns that it was not awaited.
        self._process.returncode = 0


def local_shell(subject: str, *, home: str, environment: Mapping[str, str]) -> Shell:
    """Open a shell on this machine.

    Args:
        subject: The name of the server, for messages.
        home: A directory shared by all shells of that server.
        environment: What lets the clients log in.
    """
    # Not ephemeral: the server is the user's, and stays.
    fixed = {"LDB_HOME": home, "LDB_EPHEMERAL": "", "LDB_PROFILE": ""}
    return Shell(ProcessStream(lease_script(":"), {**environment, **fixed}), subject)
