"""Processes told apart by more than a number, so that none but the right one is ever ended."""

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
    """A process and the moment it began: numbers are given again, the pair never is."""

    pid: int
    began: str

    @classmethod
    def with_pid(cls, pid: int) -> Process | None:
        """The living process that has this number now; a zombie does not live."""
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
        """Whether it is still there, and not a successor with the same number."""
        return Process.with_pid(self.pid) == self

    def end(self, grace_s: float) -> None:
        """Ask it to end, and make it end if it does not within the time given."""
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
    """Every process that lives now."""
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (process := Process.with_pid(int(entry.name))):
            yield process
