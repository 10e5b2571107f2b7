"""Read the directory of a container of the fake engine, and wait for changes, in any process."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ...engines.protocol import Container, Exit
from ...model.instance import Address
from ...util.poll import tries

PAUSE_S = 0.005
PATIENCE_S = 10.0


class Directory:
    """The directory of a container.

    Raises:
        FileNotFoundError: The container has been removed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spec: dict[str, Any] = json.loads((path / "spec.json").read_text())

    def container(self) -> Container:
        """Return the current state of the container."""
        running = self.running()
        code = self._read("exit")
        state = "exited" if code else "created"
        if running:
            state = "paused" if (self.path / "paused").exists() else "running"
        elif not code and self._read("running") and not self.is_running():
            state = "dead"  # Its keeper was killed.
        return Container(
            id=self.spec["id"],
            name=self.path.name,
            labels=self.spec["labels"],
            image_id=self.spec["image_id"],
            state=state,
            exit_code=int(code) if code else None,
            address=self._address(running["port"]) if running else None,
            volumes=self.spec["volumes"],
            configuration=(*self.spec["command"], *self.spec["environment"].values()),
        )

    def running(self) -> dict[str, int]:
        """Return the process group and the port; empty if it is not running."""
        text = self._read("running")
        return json.loads(text) if text and self.is_running() else {}

    def is_running(self) -> bool:
        """Whether it has a keeper and no exit code yet."""
        with suppress(FileNotFoundError), (self.path / "exit").open() as record:
            return _is_locked(record.fileno()) and not record.read()
        return False

    def is_there(self) -> bool:
        """Whether the directory still belongs to this container."""
        with suppress(FileNotFoundError):
            return bool(Directory(self.path).spec["id"] == self.spec["id"])
        return False

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Lock the container against start and removal; yield whether it still exists."""
        try:
            lock = (self.path / "lock").open("w")
        except FileNotFoundError:
            yield False
            return
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.is_there()

    def send(self, number: int) -> None:
        """Send a signal to all processes of the container if it is running."""
        running = self.running()
        if running:
            with suppress(ProcessLookupError):
                os.killpg(running["group"], number)

    def end(self, number: int) -> None:
        """Send a signal and wait until the container has stopped, at most ten seconds."""
        with suppress(FileNotFoundError), (self.path / "exit").open() as record:
            self.send(number)
            for _ in tries(PATIENCE_S, pause_s=PAUSE_S):
                if not _is_locked(record.fileno()):
                    return

    def _address(self, port: int) -> Address:
        everywhere = self.spec["bind"] == "0.0.0.0"  # noqa: S104 - nothing is bound here
        return Address("127.0.0.1" if everywhere else self.spec["bind"], port)

    def _read(self, name: str) -> str:
        try:
            return (self.path / name).read_text()
        except FileNotFoundError:
            return ""


class FakeWatch:
    """A watch; its open files can be read even after the directory has been deleted."""

    def __init__(self, directory: Directory, *, from_start: bool) -> None:
        self._log = os.open(directory.path / "log", os.O_RDONLY)
        self._exit = os.open(directory.path / "exit", os.O_RDONLY)
        self._begin = 0 if from_start else os.fstat(self._log).st_size
        self.close = weakref.finalize(self, _close, self._log, self._exit)

    def ended(self, timeout_s: float) -> Exit | None:
        """Wait up to ``timeout_s`` for the exit; return None if the container is still running."""
        for _ in tries(timeout_s, pause_s=min(PAUSE_S, timeout_s)):
            code = os.pread(self._exit, 3, 0)
            if code:
                return Exit(code=int(code), out_of_memory=False)
        return None

    def log(self, lines: int) -> str:
        """Return the last lines of the log."""
        size = os.fstat(self._log).st_size - self._begin
        text = os.pread(self._log, size, self._begin).decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])


class FakeLog:
    """The log of a container in chunks; its open file survives the deletion of the directory.

    Args:
        directory: The directory of the container.
        follow: Whether to wait for more output until the container stops.
        tail: Number of lines to start with, from the end; None for all.
        since: Time of the earliest output, in seconds since 1970.
    """

    def __init__(
        self, directory: Directory, *, follow: bool, tail: int | None, since: float
    ) -> None:
        self._follow = follow
        self._directory = directory
        self._log = os.open(directory.path / "log", os.O_RDONLY)
        weakref.finalize(self, _close, self._log)
        size = os.fstat(self._log).st_size
        written = os.pread(self._log, size, 0)[self._offset(since) :]
        if tail is not None:
            written = b"".join(written.splitlines(keepends=True)[-tail:] if tail else [])
        os.lseek(self._log, size - len(written), os.SEEK_SET)
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        while not self._closed.is_set():
            goes_on = self._follow and self._directory.is_running()
            yield from iter(lambda: os.read(self._log, 65536), b"")
            if not goes_on:
                return
            self._closed.wait(PAUSE_S)

    def close(self) -> None:
        """Stop the iteration."""
        self._closed.set()

    def _offset(self, since: float) -> int:
        lines = (self._directory.path / "times").read_text().splitlines()
        times = [(float(time), int(offset)) for time, offset in map(str.split, lines)]
        return next((at for time, at in times if time >= since), sys.maxsize) if times else 0


def _is_locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def _close(*files: int) -> None:
    for file in files:
        os.close(file)
