"""Whole runs of pytest in projects of their own, on the real engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_ldb.model.credentials import UserIdentity, state_directory
from pytest_ldb.model.request import Scope

if TYPE_CHECKING:
    from .command import User

GONE_WITHIN_S = 5.0


@dataclass
class Project:
    """A directory with tests, like a project of a user."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a run in a process group of its own."""
        options = f"{os.environ['PYTEST_ADDOPTS']} -p no:cacheprovider"
        process = subprocess.Popen(
            # Started in the background, the tests themselves may ignore Ctrl-C.
            ["/usr/bin/env", "--default-signal=INT", sys.executable, "-m", "pytest", *arguments],
            cwd=self.root,
            env={**os.environ, "PYTEST_ADDOPTS": options, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str) -> Run:
        """Run to the end."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=120)
        return Run(process.returncode, output)

    def containers(self) -> list[str]:
        """Return the names of this project's containers, in whatever state."""
        project = Scope.of(self.root, "", UserIdentity.load(state_directory()).mark).project
        return docker(
            *("ps", "--all", "--format", "{{.Names}}"),
            *("--filter", f"label=pytest-ldb.project={project}"),
        ).split()

    def volumes(self) -> set[str]:
        """Return the names of the volumes that this project's containers use."""
        form = "{{range .Mounts}}{{.Name}} {{end}}"
        return set(docker("inspect", "--format", form, *self.containers()).split())

    def wait_until_gone(self) -> None:
        """Fail if a container of this project is still there after `GONE_WITHIN_S`."""
        deadline = time.monotonic() + GONE_WITHIN_S
        while (left := self.containers()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not left, f"still there {GONE_WITHIN_S} s after the end: {left}"

    def wait_for_record(self, pattern: str = "record-*.json") -> Path:
        """Wait until a test has written a record with the fixture `record`."""
        deadline = time.monotonic() + 60.0
        while not (found := list(self.root.glob(pattern))):
            assert time.monotonic() < deadline, f"no {pattern}"
            time.sleep(0.01)
        return found[0]

    def records(self) -> list[dict[str, str]]:
        """Return the records that tests wrote with the fixture `record`."""
        return [json.loads(path.read_text()) for path in sorted(self.root.glob("record-*.json"))]

    def clean_up(self) -> None:
        """End and remove everything the test left."""
        for process in self.started:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, 9)
                process.wait()
            if process.stdout:
                process.stdout.close()
        for name in self.containers():
            docker("rm", "--force", "--volumes", name)


@dataclass(frozen=True)
class Run:
    """The result of a run."""

    status: int
    output: str

    def passed(self, count: int) -> None:
        """Fail unless the run succeeded and `count` tests passed."""
        assert self.status == 0, self.output
        assert f"{count} passed" in self.output, self.output


def docker(*arguments: str, given: str = "") -> str:
    """Run the Docker client and return its output."""
    command = ["docker", *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    gone = "No such container" in done.stderr or "already in progress" in done.stderr
    assert done.returncode == 0 or gone, done.stderr
    return done.stdout


RECORDER = """
import json, os, pytest

@pytest.fixture
def record(request):
    def write(**values):
        name = f"record-{os.getpid()}-{request.node.name}.json".replace("/", "-")
        with open(f"{name}.new", "w") as file:
            json.dump({"pid": str(os.getpid()), **values}, file)
        os.rename(f"{name}.new", name)
    return write
"""


MakeProject = Callable[[str], Project]


@pytest.fixture
def make_project(tmp_path: Path) -> Iterator[MakeProject]:
    """Make projects, each in a directory of its own, and remove what they leave."""
    made: list[Project] = []

    def make(name: str) -> Project:
        root = tmp_path / name
        root.mkdir(parents=True)
        project = Project(root)
        project.write("pytest.ini", "[pytest]\nfilterwarnings = error\n")
        project.write("conftest.py", RECORDER)
        made.append(project)
        return project

    yield make
    for project in made:
        project.clean_up()


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    """A user of the command with a secret of its own."""
    from .command import User

    user = User(tmp_path / "state")
    assert user.mark
    yield user
    user.clean_up()


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    """A project without tests."""
    return make_project("shop")


@pytest.fixture
def wrong_image() -> Iterator[str]:
    """An image without any program to start."""
    tag = f"localhost/pytest-ldb-test/wrong:{os.getpid()}"
    recipe = f'FROM {os.environ["LDB_REDIS_IMAGE"]}\nENTRYPOINT ["/ldb/absent"]\n'
    docker("build", "--quiet", "--force-rm", f"--tag={tag}", "-", given=recipe)
    yield tag
    docker("rmi", tag)
