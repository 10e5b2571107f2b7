"""Processes identified by more than a number, so that no other process is ever ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process id and its start time: ids are reused, the pair is not."""

    pid: int
    began: str

    @classmethod
    def with_pid(cls, pid: int) -> Process | None:
        """The running process that has this id now; zombies do not count."""
        try:
            # The name, in parentheses, may contain anything; what follows is separated by spaces.
            fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        state, ticks_since_boot = fields[0], fields[19]
        if state in "ZX":
            return None
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return cls(pid, f"{boot}+{ticks_since_boot}")

    @property
    def name(self) -> str:
        """The program's name, at most 15 characters of it."""
        return self._read("comm").strip()

    @property
    def command(self) -> list[str]:
        """The program's arguments, itself the first."""
        return self._read("cmdline").split("\0")

    def is_alive(self) -> bool:
        """Whether it still runs, and is not a later process with the same id."""
        return Process.with_pid(self.pid) == self

    def end(self, grace_s: float) -> None:
        """Terminate it, and kill it if it does not end in time."""
        for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
            if self.is_alive():
                os.kill(self.pid, number)
                self._wait(patience_s)

    def _wait(self, patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while self.is_alive() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _read(self, file: str) -> str:
        try:
            return (PROC / str(self.pid) / file).read_text(errors="replace")
        except OSError:
            return ""


def processes() -> Iterator[Process]:
    """All running processes."""
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (process := Process.with_pid(int(entry.name))):
            yield process
