"""Measures how long tests wait for their database: a plugin of the runs that fresh.py starts.

It is copied beside the tests of each contestant and writes its times into the same folder, one
file per process. The first test of a process is left out: it starts the server and fills the
template. Two workers wait for each other after it, so that they are measured side by side.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
CONTAINERS = "containers"
PATIENCE_S = 120.0


@dataclass
class Sample:
    """The times of one test, on the clock that all processes share."""

    asked: float = 0.0  # its first fixture begins
    given: float = 0.0  # its last fixture has its value, so it has a database with all tables
    answered: float = 0.0  # the database answered, which includes connecting
    left: float = 0.0  # the test has ended
    gone: float = 0.0  # the fixtures have released the database


@dataclass
class Process:
    """All tests of one process but the first, which ended at ``began``."""

    began: float
    samples: list[Sample]

    @property
    def ended(self) -> float:
        """When the last test ended, before the cleanup of the session."""
        return self.samples[-1].gone


def processes(folder: Path) -> Iterator[Process]:
    """Read the times that the processes of one run wrote."""
    for file in sorted(folder.glob("samples-*.json")):
        found = json.loads(file.read_text())
        if found["samples"]:
            yield Process(found["began"], [Sample(**sample) for sample in found["samples"]])


_process = Process(0.0, [])


def answered() -> None:
    """Record that the test has read from its database; called by the test."""
    _process.samples[-1].answered = time.perf_counter()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    _process.samples.append(Sample())
    result = yield
    if len(_process.samples) == 1:
        _meet_the_others()
        _process.began = time.perf_counter()
    return result


# The outermost of all wrappers, so that all waiting of fixtures is included.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup() -> Generator[None, object, object]:
    sample = _process.samples[-1]
    sample.asked = sample.asked or time.perf_counter()
    result = yield
    sample.given = time.perf_counter()
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    sample = _process.samples[-1]
    sample.left = sample.gone = time.perf_counter()
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_fixture_post_finalizer(fixturedef: pytest.FixtureDef[Any]) -> None:
    """For the last test, only its own fixtures count, not those that end with the session."""
    if _process.samples and fixturedef.scope == "function":
        _process.samples[-1].gone = time.perf_counter()


def pytest_sessionfinish() -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "only")
    samples = [asdict(sample) for sample in _process.samples[1:]]
    written = json.dumps({"began": _process.began, "samples": samples})
    (HERE / f"samples-{worker}.json").write_text(written)


@pytest.hookimpl(optionalhook=True)
def pytest_ldb_instance_ready(instance: Any) -> None:
    """Record the container, to watch its memory and its removal."""
    with (HERE / CONTAINERS).open("a") as file:
        file.write(f"ldb-{instance.name}\n")


def _meet_the_others() -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        return
    (HERE / f"met-{worker}").touch()
    workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    patience = time.monotonic() + PATIENCE_S
    while len(list(HERE.glob("met-*"))) < workers and time.monotonic() < patience:
        time.sleep(0.002)
