"""The command `pytest-ldb`, run by a user of its own, piped or on a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_ldb.model.credentials import UserIdentity, state_directory
from pytest_ldb.model.request import LABEL

from .conftest import docker

# Started in the background, the tests themselves may ignore Ctrl-C.
COMMAND = ("/usr/bin/env", "--default-signal=INT", sys.executable, "-m", "pytest_ldb")
ROWS, COLUMNS = 40, 200
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Done:
    """The result of a command."""

    status: int
    output: str
    errors: str

    @property
    def rows(self) -> list[list[str]]:
        """The lines of its output, split at tabs."""
        return [line.split("\t") for line in self.output.splitlines()]

    def well(self) -> Done:
        """Fail unless the exit status is 0."""
        assert self.status == 0, self
        return self

    def refused(self, status: int = 1) -> Done:
        """Fail unless the command was refused with an error on stderr only."""
        assert self.status == status, self
        assert "Traceback" not in self.errors, self
        assert self.errors.strip(), self
        assert not self.output, self
        return self


class Terminal:
    """A command on a pseudo-terminal."""

    def __init__(self, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            [*COMMAND, *arguments],
            env={**environment, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.text = ""

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._ours, text.encode())

    def wait_for(self, text: str) -> None:
        """Wait for the text in the output, and discard the output before it."""
        deadline = time.monotonic() + TIMEOUT_S
        while text not in self.text:
            assert time.monotonic() < deadline, self.text
            assert self._read(), self.text
        self.text = self.text.partition(text)[2]

    def end(self) -> Done:
        """Read the rest of the output and return the result."""
        while self._read():
            pass
        return Done(self._process.wait(timeout=10), self.text, "")

    def close(self) -> None:
        """Kill the command and close the terminal."""
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._ours], [], [], TIMEOUT_S)
        assert ready, self.text
        try:
            came = os.read(self._ours, 65536).decode(errors="replace")
        except OSError:  # The other side has been closed.
            return False
        # Cursor position: clients query it if they start before the size is set.
        os.write(self._ours, f"\x1b[1;{COLUMNS}R".encode() * came.count("\x1b[6n"))
        self.text += came
        return True


@dataclass
class User:
    """A user of the command with a secret of its own, so that its servers are isolated."""

    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    terminals: list[Terminal] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of this user."""
        return {**os.environ, "XDG_STATE_HOME": str(self.home), **self.variables}

    @property
    def mark(self) -> str:
        """The mark in the names of this user's resources."""
        return UserIdentity.load(self.home / state_directory().name).mark

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start the command in a process group of its own, its streams being pipes."""
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            env={**self.environment, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str, given: str = "", **variables: str) -> Done:
        """Run the command to its end."""
        process = self.start(*arguments, **variables)
        output, errors = process.communicate(given, timeout=TIMEOUT_S)
        return Done(process.returncode, output, errors)

    def create(self, *arguments: str) -> str:
        """Create a server and return its name."""
        return self.run("create", *arguments).well().output.strip()

    def json(self, *arguments: str) -> Any:
        """Return the parsed JSON output of the command."""
        return json.loads(self.run(*arguments, "--json").well().output)

    def on_terminal(self, *arguments: str) -> Terminal:
        """Run the command on a terminal."""
        self.terminals.append(Terminal(arguments, self.environment))
        return self.terminals[-1]

    def containers(self) -> list[str]:
        """Return the names of this user's containers, in whatever state."""
        mine = f"label={LABEL}user={self.mark}"
        return docker("ps", "--all", "--format", "{{.Names}}", "--filter", mine).split()

    def volumes(self) -> list[str]:
        """Return the names of this user's volumes."""
        mine = f"label={LABEL}user={self.mark}"
        return docker("volume", "ls", "--quiet", "--filter", mine).split()

    def clean_up(self) -> None:
        """Remove everything the test left."""
        while self.terminals:
            self.terminals.pop().close()
        for process in self.started:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, 9)
                process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                assert pipe
                pipe.close()
        if self.containers():
            docker("rm", "--force", "--volumes", *self.containers())
        if self.volumes():
            docker("volume", "rm", *self.volumes())
