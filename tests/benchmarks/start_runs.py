"""The lines of start.py's tables: what each runs and measures."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import start_floor
from start_marks import MARKS, Marks, read
from start_projects import OURS, REMEMBERED, UNLABELLED, Starter
from workshop import Failed, Run, Workshop, docker, plugins, say

from pytest_ldb.lifecycle.cache import REPOSITORY

SNAPSHOT_WITHIN_S = 60.0
QUIET_S = 0.3
"""Pause after a removal, because the engine is still busy."""


@dataclass(frozen=True)
class Mode:
    """A mode in which pytest-ldb obtains a server; peers have one mode.

    Args:
        name: What tables call it.
        origin: The origin of the server in the summary of the run.
        cache: Whether it uses the cache.
        options: Further options.
    """

    name: str
    origin: str
    cache: str = "never"
    options: tuple[str, ...] = ()


COLD = Mode("cold", "created")
SNAPSHOT = Mode("cached", "restored", cache="always")
KEPT = Mode("kept", "attached", options=("--ldb-keep",))


@dataclass
class StartWorkshop(Workshop):
    """Runs projects that start servers, with a separate state directory without a cache."""

    measuring: ClassVar[str] = "start_marks"
    unlabelled: ClassVar[tuple[str, ...]] = UNLABELLED

    expected: set[str] = field(default_factory=set)
    staying: int = 0

    def run(
        self,
        project: Starter,
        folder: Path,
        databases: Sequence[str],
        options: Sequence[str] = (),
        cache: str = COLD.cache,
    ) -> tuple[Run, list[Marks]]:
        """Run a project after removing everything of earlier runs that must not stay."""
        self.settle(self.staying)
        time.sleep(QUIET_S)
        marks = self.new_folder("marks")
        marks.mkdir()
        variables = {
            MARKS: str(marks),
            "BENCH_LABEL": self.label,
            "XDG_STATE_HOME": str(self.state),
            "LDB_CACHE": cache,
        }
        loaded = plugins(*project.plugins_for(databases))
        run = self.pytest(self.python_for(project), folder, [*loaded, *options], variables)
        return run, read(marks)

    @contextmanager
    def remembering(self, databases: Sequence[str]) -> Iterator[None]:
        """Let a run build the cache, and wait for it; the build continues after the run.

        Raises:
            Failed: The cache was not built.
        """
        self.expected.update(set(databases) & set(REMEMBERED))
        yield
        if self._missing_cache():
            raise Failed(f"no cached server within {SNAPSHOT_WITHIN_S:.0f} s")

    def _missing_cache(self) -> int:
        """Return how many cached images are missing, after waiting for them."""
        patience = time.monotonic() + SNAPSHOT_WITHIN_S
        while missing := len(self.expected) - len(self.cache()):
            if time.monotonic() > patience:
                break
            time.sleep(0.2)
        return missing

    def cache(self) -> set[str]:
        """Return the cached images of this benchmark, which are named like the cache records."""
        tags = docker("images", REPOSITORY, "--format", "{{.Tag}}").split()
        return set(tags) & {file.stem for file in self.state.rglob("*.json")}

    @property
    def state(self) -> Path:
        """The state directory of pytest-ldb."""
        return self.folder / "state"

    def clear(self) -> None:
        """Remove all containers, including kept ones."""
        self.staying = 0
        if kept := self.containers():
            with suppress(subprocess.CalledProcessError):  # some are removing themselves
                docker("rm", "--force", "--volumes", *sorted(kept))

    def close(self) -> None:
        """Remove all containers and cached images, including those still being built."""
        self.clear()
        super().close()
        self._missing_cache()
        if made := self.cache():
            docker("rmi", "--force", *(f"{REPOSITORY}:{tag}" for tag in sorted(made)))


@dataclass
class Line(ABC):
    """One line of a table.

    Args:
        case: The table.
        database: What it starts: a name, or several with ``+`` between; empty for nothing.
        mode: How.

    Attributes:
        times: What was measured, in seconds, by name.
        failed: Why the measurements stopped.
    """

    case: str
    database: str
    mode: Mode = COLD
    times: dict[str, list[float]] = field(default_factory=dict)
    failed: str = ""
    _folder: Path | None = None

    def run(self, workshop: StartWorkshop) -> None:
        """Measure once; a failed line is not retried."""
        if self.failed:
            return
        say(f"{self.case}: {self.name} …")
        try:
            if self._folder is None:
                self._folder = workshop.new_folder(self.project.name)
                self.prepare(workshop, self._folder)
            for name, took in self.measure(workshop, self._folder).items():
                self.times.setdefault(name, []).append(took)
        except Failed as failure:
            self.failed = str(failure)

    @property
    def name(self) -> str:
        """Which line of the table it is."""
        return (
            f"{self.project.name}, {self.mode.name}" if self.project is OURS else self.project.name
        )

    @property
    @abstractmethod
    def project(self) -> Starter:
        """What is run."""

    @abstractmethod
    def prepare(self, workshop: StartWorkshop, folder: Path) -> None:
        """Prepare the measurement, without timing."""

    @abstractmethod
    def measure(self, workshop: StartWorkshop, folder: Path) -> Mapping[str, float]:
        """Run it once and return what was measured."""


@dataclass
class Whole(Line):
    """Whole processes, from spawning pytest to its exit.

    ``first`` is until the first line of the first test, of the last worker if there are some;
    ``end`` from the end of all teardowns until the exit, ``leave`` from the end of the last test.
    """

    of: Starter = OURS
    workers: int = 0

    @property
    def project(self) -> Starter:
        """What is run."""
        return self.of

    @property
    def name(self) -> str:
        """Which line of the table it is."""
        name = super().name if self.database else f"{self.project.name}, no fixture"
        return f"{name}, -n {self.workers}" if self.workers else name

    def prepare(self, workshop: StartWorkshop, folder: Path) -> None:
        """Compile the tests and start the servers that must exist."""
        self.project.write(folder, self._databases, tests=max(self.workers, 1))
        workshop.run(self.project, folder, self._databases, ("--collect-only",))
        if self.mode is not COLD:
            before = workshop.containers()
            with workshop.remembering(self._databases if self.mode is SNAPSHOT else ()):
                self._once(workshop, folder)
            if self.mode is KEPT:
                workshop.staying += len(workshop.containers() - before)

    def measure(self, workshop: StartWorkshop, folder: Path) -> dict[str, float]:
        """Run it once and return what was measured."""
        run, marks = self._once(workshop, folder)
        said = (folder / "log").read_text()
        if self.project is OURS and self._databases and self.mode.origin not in said:
            raise Failed(f"its server was not {self.mode.origin}: {said[-200:]}")
        return {
            "first": max(mark.first for mark in marks) - run.began,
            "end": run.ended - max(mark.over for mark in marks),
            "leave": run.ended - max(mark.left for mark in marks),
        }

    def _once(self, workshop: StartWorkshop, folder: Path) -> tuple[Run, list[Marks]]:
        options = [*self.mode.options]
        if self.workers:  # With no more tests than workers, xdist distributes them one by one.
            options += ["-p", "xdist", "-n", str(self.workers)]
        return workshop.run(self.project, folder, self._databases, options, cache=self.mode.cache)

    @property
    def _databases(self) -> list[str]:
        return self.database.split("+") if self.database else []


@dataclass
class Floor(Line):
    """One server: ``ours``, and the ``floor`` beside it; see start_floor.py."""

    _turns: int = 0

    @property
    def project(self) -> Starter:
        """What is run."""
        return OURS

    @property
    def name(self) -> str:
        """Which line of the table it is."""
        return f"{self.database}, {self.mode.name}"

    def prepare(self, workshop: StartWorkshop, folder: Path) -> None:
        """Find the configuration of the container that pytest-ldb creates."""
        OURS.write(folder, ())
        shutil.copy(start_floor.__file__, folder / "test_start.py")
        if self.mode is SNAPSHOT:
            with workshop.remembering([self.database]):
                self._once(workshop, folder, ["ours"])
            (folder / start_floor.CONFIGURATION).unlink()
        self._once(workshop, folder, ["ours"])

    def measure(self, workshop: StartWorkshop, folder: Path) -> dict[str, float]:
        """Run it once and return what was measured; the order alternates."""
        self._turns += 1
        order = ["ours", "floor"]
        return self._once(workshop, folder, order[:: 1 if self._turns % 2 else -1])

    def _once(
        self, workshop: StartWorkshop, folder: Path, order: Sequence[str]
    ) -> dict[str, float]:
        task = {"database": self.database, "label": workshop.label, "order": order}
        (folder / start_floor.TASK).write_text(json.dumps(task))
        workshop.run(OURS, folder, (), cache=self.mode.cache)
        times: dict[str, float] = json.loads((folder / start_floor.TIMES).read_text())
        return times
