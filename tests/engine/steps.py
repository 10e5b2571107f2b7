"""What every step needs: run a command, report progress, and hold a lock."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


class Failure(Exception):
    """An error that only the user can fix; its text says how."""


def say(text: str) -> None:
    """Print a message to standard error; standard output is for programs."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Report a step and its duration when it is done."""
    begin = time.monotonic()
    yield
    say(f"{title}: {time.monotonic() - begin:.1f} s")


def run(
    *command: str,
    cwd: Path | None = None,
    timeout_s: float | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a command to its end and return what it printed."""
    try:
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=cwd,
            timeout=timeout_s,
            env={**os.environ, **(env or {})},
        )
    except FileNotFoundError:
        raise Failure(f"{command[0]} is not installed.") from None
    except subprocess.TimeoutExpired:
        raise Failure(f"`{_shown(command)}` did not end within {timeout_s:.0f} s.") from None
    if done.returncode:
        evidence = last_lines(done.stdout + done.stderr)
        raise Failure(f"`{_shown(command)}` failed with exit code {done.returncode}.\n{evidence}")
    return done.stdout


def last_lines(text: str, count: int = 15) -> str:
    """The last lines of a log, indented; they usually have the reason."""
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-count:])


def _shown(command: tuple[str, ...]) -> str:
    text = " ".join(command)
    return text if len(text) <= 200 else text[:200] + " ..."


def state_directory() -> Path:
    """The user's directory for files that outlive a run; it is not in the repository."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    directory = Path(home) / "pytest-ldb" / "engine"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"{directory} cannot be made: {error}. Set XDG_STATE_HOME.") from None
    return directory


@contextmanager
def alone() -> Iterator[None]:
    """Keep other preparations of this user waiting.

    The kernel lets go of the lock, even if we are killed.
    """
    with (state_directory() / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step("waited for another prepare.py"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
