"""Commands of the documentation, run as a reader would run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .pages import EXAMPLES, ROOT

# The types that examples add run the image of the type that they were made from.
STAND_INS = {"LDB_POSTGRES17_IMAGE": "postgres:18", "LDB_PGVECTOR_IMAGE": "postgres:18"}

# Durations depend on the machine, so the pages do not show them.
_WAITING = re.compile(r"\nldb: \w+: (initialising|starting|\w+ runs), \d+ s\n")


@dataclass(frozen=True)
class Answer:
    """The combined output of commands and their exit status."""

    status: int
    output: str


Reader = Callable[[str, str], Answer]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Run commands in a copy of an example folder, and remove the servers that they keep."""
    copy = shutil.copytree(
        EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__", ".*cache")
    )
    environment = _environment(tmp_path / "state")

    def run(folder: str, commands: str) -> Answer:
        done = subprocess.run(
            ["sh", "-c", commands],
            cwd=copy / folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=150,
            check=False,
        )
        return Answer(done.returncode, _WAITING.sub("", done.stdout))

    yield run
    if (tmp_path / "state").exists():
        _delete_all(environment)


def _environment(state: Path) -> dict[str, str]:
    """Return a clean environment with only the images and the Python of this run.

    The cache is off: the origin of a server would depend on earlier tests.

    Args:
        state: The state directory of the reader, used by no other test.
    """
    ours = ("LDB_", "PYTEST_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(ours) or name.endswith("_IMAGE") or name == "PYTEST_ADDOPTS"
    }
    postgres = os.environ.get("LDB_POSTGRES_IMAGE")
    stand_ins = {name: postgres or declared for name, declared in STAND_INS.items()}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    modules = os.pathsep.join(filter(None, [".", os.environ.get("PYTHONPATH")]))
    fixed = {"PATH": path, "PYTHONPATH": modules, "COLUMNS": "200", "LDB_CACHE": "never"}
    return {**kept, **stand_ins, **fixed, "XDG_STATE_HOME": str(state)}


def _delete_all(environment: dict[str, str]) -> None:
    """Delete the servers that the commands left, with the command pytest-ldb."""
    command = [sys.executable, "-m", "pytest_ldb", "delete", "--all", "--volumes", "--force"]
    subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, check=True)
