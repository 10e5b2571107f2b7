"""The processes, environments and containers of a benchmark. All are removed at its end."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, TypeVar

HERE = Path(__file__).parent
LONGEST_RUN_S = 1800.0
GRACE_S = 30.0
LAST_LINES = 6


class Failed(Exception):
    """Something that could not be measured, and why."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What a project runs in.

    Args:
        name: What tables call it.
        plugins: What pytest loads, and nothing else, so that no plugin slows down the others.
        install: What pip installs into an environment of its own, separated by spaces; empty for
            the one of the benchmark.
    """

    name: str
    plugins: tuple[str, ...]
    install: str = ""


@dataclass(frozen=True)
class Run:
    """When a process began and ended, on the clock that all processes share."""

    began: float
    ended: float


@dataclass
class Workshop:
    """Runs projects.

    Args:
        folder: Where all is written, temporary files of the runs included.
        venvs: Where the environments of peers are.
        label: Unique; labels the containers that peers start, and begins the names of ours, since
            they are called after their project.

    Attributes:
        measuring: The plugin that measures; it is copied beside the tests.
        unlabelled: How the names begin of containers that cannot be labelled.
    """

    measuring: ClassVar[str]
    unlabelled: ClassVar[tuple[str, ...]] = ()

    folder: Path
    venvs: Path
    label: str
    _broken: dict[str, str] = field(default_factory=dict)
    _pythons: dict[str, str] = field(default_factory=dict)
    _not_ours: set[str] = field(default_factory=set)
    _runs: int = 0

    def __post_init__(self) -> None:
        """Record existing containers, so that they are kept."""
        self._not_ours = self.containers()

    def new_folder(self, name: str) -> Path:
        """Return the path of a new folder."""
        self._runs += 1
        return self.folder / f"{self.label}-{self._runs}-{name}"

    def pytest(
        self, python: str, folder: Path, arguments: Sequence[str], variables: dict[str, str]
    ) -> Run:
        """Run pytest in a folder.

        Raises:
            Failed: A test failed, with the end of its output.
        """
        command = self.command(python, folder, arguments)
        began = time.monotonic()
        with self.process(command, folder, variables) as process:
            _wait(process)
            ended = time.monotonic()
        if process.returncode:
            raise Failed(last_words(folder))
        return Run(began, ended)

    def python_for(self, project: Environment) -> str:
        """Return the interpreter of the environment of a project.

        Raises:
            Failed: It could not be installed, now or earlier.
        """
        if not project.install:
            return sys.executable
        if project.name in self._broken:
            raise Failed(self._broken[project.name])
        if project.name not in self._pythons:
            venv = self.venvs / project.name
            try:
                self._install(project, venv)
            except Failed as failure:
                self._broken[project.name] = str(failure)
                raise
            self._pythons[project.name] = str(venv / "bin" / "python")
        return self._pythons[project.name]

    def version(self, project: Environment, name: str) -> str:
        """Return the version of a package in the environment of a project."""
        asking = f"from importlib.metadata import version; print(version({name!r}))"
        command = [self.python_for(project), "-c", asking]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def _install(self, project: Environment, venv: Path) -> None:
        """Make an environment with the same pytest, xdist and psycopg as this one.

        An environment with a checkout is rebuilt each time, because the checkout may have changed.
        """
        if (venv / "complete").exists():
            return
        shutil.rmtree(venv, ignore_errors=True)
        same = [f"{name}=={version(name)}" for name in ("pytest", "pytest-xdist")]
        same.append(f"psycopg[binary]=={version('psycopg')}")
        pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        log = self.new_folder(f"install-{project.name}")
        log.mkdir()
        wanted = project.install.split()
        for command in ([sys.executable, "-m", "venv", str(venv)], [*pip, *wanted, *same]):
            with self.process(command, log, {}) as process:
                _wait(process)
            if process.returncode:
                raise Failed(last_words(log))
        if not any(Path(part).exists() for part in wanted):
            (venv / "complete").touch()

    def command(self, python: str, folder: Path, arguments: Sequence[str]) -> list[str]:
        """Return the command to run pytest in a folder, with the measuring plugin."""
        shutil.copy(HERE / f"{self.measuring}.py", folder)
        loaded = ["-p", "no:cacheprovider", "-p", self.measuring]
        return [python, "-m", "pytest", "-q", *loaded, *arguments]

    @contextmanager
    def process(
        self,
        command: Sequence[str],
        folder: Path,
        variables: dict[str, str],
        *,
        stdin: int = subprocess.DEVNULL,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start a process that is killed afterwards, with all its children."""
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**_clean_environment(), "TMPDIR": str(self.folder), **variables},
                stdin=stdin,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that Ctrl-C is forwarded once by the benchmark
            )
            try:
                yield process
            except subprocess.TimeoutExpired as error:
                raise Failed(f"it did not end within {error.timeout:.0f} s") from None
            finally:
                _end(process)

    def close(self) -> None:
        """Remove containers that peers left, and wait for those that remove themselves."""
        if left := self.settle():
            print(f"left behind, removed now: {', '.join(sorted(left))}", file=sys.stderr)
            docker("rm", "--force", "--volumes", *sorted(left))

    def settle(self, staying: int = 0) -> set[str]:
        """Wait until at most this number of containers is left, and return them."""
        patience = time.monotonic() + GRACE_S
        while len(left := self.containers()) > staying and time.monotonic() < patience:
            time.sleep(0.2)
        return left

    def containers(self) -> set[str]:
        """Return the names of the containers of this benchmark."""
        listed = docker("ps", "--all", "--format", "{{.Names}} {{.Labels}}").splitlines()
        ours = (f"ldb-{self.label}-", f"{self.label}=")
        found = {
            line.split()[0]
            for line in listed
            if any(mark in line for mark in ours) or line.startswith(self.unlabelled)
        }
        return found - self._not_ours


W = TypeVar("W", bound=Workshop)


@contextmanager
def opened(workshop_class: type[W], venvs: Path | None) -> Iterator[W]:
    """Yield a workshop, and clean up however the benchmark ends."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="pytest-ldb-benchmark-") as folder:
        label = f"bench-{uuid.uuid4().hex[:8]}"
        workshop = workshop_class(Path(folder), (venvs or Path(folder, "venvs")).resolve(), label)
        try:
            yield workshop
        finally:
            workshop.close()


def about(**more: Any) -> dict[str, Any]:
    """Return what a figure depends on."""
    return {
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "engine": docker("version", "--format", "{{.Server.Version}}").strip(),
        "cores": os.cpu_count(),
        "load before": round(os.getloadavg()[0], 2),
        **more,
    }


def plugins(*names: str) -> list[str]:
    """Return the arguments that load these."""
    return [part for name in names for part in ("-p", name)]


def docker(*arguments: str) -> str:
    """Run the engine's client, and return what it printed."""
    return subprocess.run(
        ["docker", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    ).stdout


def last_words(folder: Path) -> str:
    """Return the end of the output of a process, without the decoration of pytest."""
    lines = (folder / "log").read_text(errors="replace").splitlines()
    said = [line.strip() for line in lines if line.strip(" =_-")]
    return "\n".join(said[-LAST_LINES:])


def say(text: str) -> None:
    """Print progress to standard error; standard output is for figures."""
    print(text, file=sys.stderr, flush=True)


def _clean_environment() -> dict[str, str]:
    """Return the environment without settings that change a run; only images are set.

    Plugins are loaded by name only, and modules are compiled once, not in every run.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LDB_", "PYTEST_", "PMR_", "PG")) or name.endswith("_IMAGE")
    }
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH"):  # a path hides what is installed
        kept.pop(name, None)
    return {
        **kept,
        "COLUMNS": "160",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "TESTCONTAINERS_RYUK_DISABLED": "true",
    }


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Wait without a timeout: with one, Python polls only every 50 ms."""
    late = threading.Event()

    def kill() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(LONGEST_RUN_S, kill)
    timer.daemon = True
    timer.start()
    try:
        process.wait()
    finally:
        timer.cancel()
    if late.is_set():
        raise subprocess.TimeoutExpired(process.args, LONGEST_RUN_S)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process with SIGINT, and kill it if it does not exit."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
