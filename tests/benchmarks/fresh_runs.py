"""The processes, environments and containers of fresh.py; all of them are gone after it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import fresh_measure
from fresh_contestants import OURS, Contestant

HERE = Path(__file__).parent
LONGEST_RUN_S = 1800.0
GRACE_S = 30.0
LAST_LINES = 6

# Holds a server until its standard input ends, so no longer than fresh.py lives.
HOLDING = """
import json
import sys
from pathlib import Path

def test_hold(ldb_postgres):
    where = {name: str(value) for name, value in ldb_postgres.libpq.items() if name != "dbname"}
    where["container"] = f"ldb-{ldb_postgres.instance.name}"
    Path("server.new").write_text(json.dumps(where))
    Path("server.new").rename("server.json")
    sys.stdin.read()
"""


class Failed(Exception):
    """Something that could not be measured, and why."""


@dataclass
class Workshop:
    """Runs projects.

    Args:
        folder: Where all is written, temporary files of the runs included.
        venvs: Where the environments of peers are.
        label: Unique; labels the containers that peers start, and begins the names of ours, since
            they are called after their project.
    """

    folder: Path
    venvs: Path
    label: str
    _facts: dict[str, Any] = field(default_factory=dict)
    _broken: dict[str, str] = field(default_factory=dict)
    _runs: int = 0

    def new_folder(self, name: str) -> Path:
        """Return the path of a folder that is not there yet."""
        self._runs += 1
        return self.folder / f"{self.label}-{self._runs}-{name}"

    def measure(
        self, contestant: Contestant, *, tests: int, body_s: float, processes: int
    ) -> list[fresh_measure.Process]:
        """Run the project and return what its processes saw; ``tests`` are those that count.

        Raises:
            Failed: It cannot be installed, or a test failed.
        """
        folder = self.new_folder(contestant.name)
        contestant.write(folder, tests=tests + processes, body_s=body_s)
        python = self.python_for(contestant)
        workers = ["-p", "xdist", "-n", str(processes)] if processes > 1 else []
        environment = {"BENCH_LABEL": self.label}
        if contestant.install and not contestant.server:
            environment["BENCH_FACTS"] = json.dumps(self.facts())
        if contestant.server:
            with self.server() as where:
                environment["BENCH_SERVER"] = json.dumps(where)
                self.pytest(python, folder, [*plugins(contestant), *workers], environment)
        else:
            self.pytest(python, folder, [*plugins(contestant), *workers], environment)
        return list(fresh_measure.processes(folder))

    def pytest(
        self, python: str, folder: Path, arguments: Sequence[str], environment: dict[str, str]
    ) -> None:
        """Run pytest in a folder.

        Raises:
            Failed: A test failed; its last words.
        """
        with self._started(python, folder, arguments, environment, stdin=None) as process:
            process.wait(LONGEST_RUN_S)
        if process.returncode:
            raise Failed(last_words(folder))

    @contextmanager
    def server(self) -> Iterator[dict[str, str]]:
        """Give the address of a new server that pytest-ldb started."""
        folder = self.new_folder("server")
        folder.mkdir()
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "test_hold.py").write_text(HOLDING)
        arguments = [*plugins(OURS), "-s"]
        with self._started(sys.executable, folder, arguments, {}, subprocess.PIPE) as process:
            where = _when_written(folder / "server.json", process)
            self._facts = self._facts or facts_of(where["container"])
            del where["container"]
            yield where
            process.communicate(timeout=GRACE_S)

    def facts(self) -> dict[str, Any]:
        """Return how pytest-ldb starts a server of PostgreSQL."""
        if not self._facts:
            with self.server():
                pass
        return self._facts

    def python_for(self, contestant: Contestant) -> str:
        """Return the interpreter that has what a contestant needs.

        Raises:
            Failed: It could not be installed, now or earlier.
        """
        if not contestant.install:
            return sys.executable
        if contestant.name in self._broken:
            raise Failed(self._broken[contestant.name])
        venv = self.venvs / contestant.name
        if not (venv / "complete").exists():
            try:
                self._install(contestant, venv)
            except Failed as failure:
                self._broken[contestant.name] = str(failure)
                raise
        return str(venv / "bin" / "python")

    def _install(self, contestant: Contestant, venv: Path) -> None:
        """Make an environment with the same pytest, xdist and psycopg as this one."""
        shutil.rmtree(venv, ignore_errors=True)
        same = [f"{name}=={version(name)}" for name in ("pytest", "pytest-xdist")]
        same.append(f"psycopg[binary]=={version('psycopg')}")
        pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        log = self.new_folder(f"install-{contestant.name}")
        log.mkdir()
        for command in (
            [sys.executable, "-m", "venv", str(venv)],
            [*pip, contestant.install, *same],
        ):
            with self._process(command, log, {}) as process:
                process.wait(LONGEST_RUN_S)
            if process.returncode:
                raise Failed(last_words(log))
        (venv / "complete").touch()

    @contextmanager
    def _started(
        self,
        python: str,
        folder: Path,
        arguments: Sequence[str],
        environment: dict[str, str],
        stdin: int | None,
    ) -> Iterator[subprocess.Popen[bytes]]:
        shutil.copy(HERE / "fresh_measure.py", folder)
        command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        with self._process(command, folder, environment, stdin=stdin) as process:
            yield process

    @contextmanager
    def _process(
        self,
        command: Sequence[str],
        folder: Path,
        environment: dict[str, str],
        *,
        stdin: int | None = None,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start a process that is gone afterwards, with all that it started."""
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**_clean_environment(), "TMPDIR": str(self.folder), **environment},
                stdin=stdin if stdin is not None else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that Ctrl-C comes through us, once
            )
            try:
                yield process
            except subprocess.TimeoutExpired as error:
                raise Failed(f"it did not end within {error.timeout:.0f} s") from None
            finally:
                _end(process)

    def close(self) -> None:
        """Remove containers that peers left, and wait for those that go by themselves."""
        patience = time.monotonic() + GRACE_S
        while (left := self._containers()) and time.monotonic() < patience:
            time.sleep(0.2)
        if left:
            print(f"left behind, removed now: {', '.join(sorted(left))}", file=sys.stderr)
            docker("rm", "--force", "--volumes", *sorted(left))

    def _containers(self) -> set[str]:
        listed = docker("ps", "--all", "--format", "{{.Names}} {{.Labels}}").splitlines()
        ours = (f"ldb-{self.label}-", f"{self.label}=")
        return {line.split()[0] for line in listed if any(mark in line for mark in ours)}


def plugins(contestant: Contestant) -> list[str]:
    """Return the arguments that load what a contestant needs, and what measures."""
    loaded = ("fresh_measure", *contestant.plugins)
    return [part for name in loaded for part in ("-p", name)]


def facts_of(container: str) -> dict[str, Any]:
    """Return what makes another server like this one."""
    inspected = json.loads(docker("inspect", container))[0]
    ours = [entry.partition("=") for entry in inspected["Config"]["Env"]]
    return {
        "image": inspected["Config"]["Image"],
        "image id": inspected["Image"],
        "command": inspected["Config"]["Cmd"],
        "environment": {name: value for name, _, value in ours if name == "POSTGRES_INITDB_ARGS"},
        "memory": list(inspected["HostConfig"]["Tmpfs"] or {}),
        "shm": inspected["HostConfig"]["ShmSize"],
    }


def docker(*arguments: str) -> str:
    """Run the engine's client, and return what it printed."""
    return subprocess.run(
        ["docker", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    ).stdout


def last_words(folder: Path) -> str:
    """Return the end of what a process said, without what pytest puts around it."""
    lines = (folder / "log").read_text(errors="replace").splitlines()
    said = [line.strip() for line in lines if line.strip(" =_-")]
    return "\n".join(said[-LAST_LINES:])


def _clean_environment() -> dict[str, str]:
    """Return ours without what changes a run: images are named, nothing else is set.

    Plugins are loaded by name only, and modules are compiled once, not in every run.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LDB_", "PYTEST_", "PMR_", "PG")) or name.endswith("_IMAGE")
    }
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {
        **kept,
        "COLUMNS": "160",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "TESTCONTAINERS_RYUK_DISABLED": "true",
    }


def _when_written(file: Path, process: subprocess.Popen[bytes]) -> dict[str, str]:
    while not file.exists():
        if process.poll() is not None:
            raise Failed(last_words(file.parent))
        time.sleep(0.05)
    return cast("dict[str, str]", json.loads(file.read_text()))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it as Ctrl-C does, and with force what does not heed that."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
