"""Runs the projects of fresh.py, some of them on an existing server."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

import fresh_measure
from fresh_contestants import OURS, Contestant
from workshop import GRACE_S, Failed, Workshop, docker, last_words, plugins

# Holds a server until its standard input ends, at the latest with fresh.py.
HOLDING = """
import json
import sys
from pathlib import Path

def test_hold(ldb_postgres):
    where = {name: str(value) for name, value in ldb_postgres.connect_args("psycopg").items()}
    del where["dbname"]
    where["container"] = f"ldb-{ldb_postgres.instance.name}"
    Path("server.new").write_text(json.dumps(where))
    Path("server.new").rename("server.json")
    sys.stdin.read()
"""


@dataclass
class FreshWorkshop(Workshop):
    """Runs projects that wait for databases."""

    measuring: ClassVar[str] = "fresh_measure"

    _facts: dict[str, Any] = field(default_factory=dict)

    def measure(
        self, contestant: Contestant, *, tests: int, body_s: float, processes: int
    ) -> list[fresh_measure.Process]:
        """Run the project and return the times of its processes; ``tests`` are the counted ones.

        Raises:
            Failed: It cannot be installed, or a test failed.
        """
        folder = self.new_folder(contestant.name)
        contestant.write(folder, tests=tests + processes, body_s=body_s)
        python = self.python_for(contestant)
        workers = ["-p", "xdist", "-n", str(processes)] if processes > 1 else []
        arguments = [*plugins(*contestant.plugins), *workers]
        variables = {"BENCH_LABEL": self.label}
        if contestant.install and not contestant.server:
            variables["BENCH_FACTS"] = json.dumps(self.facts())
        if contestant.server:
            with self.server() as where:
                variables["BENCH_SERVER"] = json.dumps(where)
                self.pytest(python, folder, arguments, variables)
        else:
            self.pytest(python, folder, arguments, variables)
        return list(fresh_measure.processes(folder))

    @contextmanager
    def server(self) -> Iterator[dict[str, str]]:
        """Start a server with pytest-ldb and yield its URL."""
        folder = self.new_folder("server")
        folder.mkdir()
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "test_hold.py").write_text(HOLDING)
        command = self.command(sys.executable, folder, [*plugins(*OURS.plugins), "-s"])
        with self.process(command, folder, {}, stdin=subprocess.PIPE) as process:
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


def _when_written(file: Path, process: subprocess.Popen[bytes]) -> dict[str, str]:
    while not file.exists():
        if process.poll() is not None:
            raise Failed(last_words(file.parent))
        time.sleep(0.05)
    return cast("dict[str, str]", json.loads(file.read_text()))
