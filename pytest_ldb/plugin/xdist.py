"""What the controller of an xdist run and its workers tell each other.

The only file that knows xdist.
"""

from __future__ import annotations

import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .state import RunPlugin

LOOK_EVERY_S = 0.2

ANNOUNCED = "PYTEST_LDB_RUN"
"""The variable that tells workers the id of the run and the process id of the controller."""


@dataclass(frozen=True)
class Place:
    """Where in a run this process stands.

    Args:
        run: The id of the run, 8 hex digits, the same in all its processes.
        worker: The id of this worker; empty for a process that is its own controller.
        controller: The process id of the controller.
    """

    run: str
    worker: str
    controller: int


def find_place(config: pytest.Config) -> Place:
    """Return this process's place; without xdist it is its own controller, in a new run."""
    told: dict[str, Any] | None = getattr(config, "workerinput", None)
    if told is not None:
        return Place(worker=told["workerid"], **told["ldb"])
    run, _, controller = os.environ.get(ANNOUNCED, "").partition(":")
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    # A run that a test of a worker starts inherits both variables, but has another parent.
    if worker and controller == str(os.getppid()):
        return Place(run, worker, int(controller))
    return Place(run=uuid.uuid4().hex[:8], worker="", controller=os.getpid())


def announce_place(config: pytest.Config, place: Place) -> None:
    """Tell workers where they stand before xdist lets us: they ask before that.

    It reaches those that are children of this process. Others have a run of their own.
    """
    os.environ.pop(ANNOUNCED, None)
    if not place.worker:
        os.environ[ANNOUNCED] = f"{place.run}:{place.controller}"
        config.add_cleanup(_silence)


def _silence() -> None:
    os.environ.pop(ANNOUNCED, None)


def tell_worker(node: Any, place: Place) -> None:
    """Send a worker that is about to start the place of its controller."""
    node.workerinput["ldb"] = {"run": place.run, "controller": place.controller}


def when_controller_is_gone(place: Place, act: Callable[[], None]) -> None:
    """Call ``act`` in a thread when the controller of this worker has ended before the worker.

    A worker whose controller was killed goes on with its test for seconds, and so would its
    servers. Workers that are not children of their controller (on another machine) cannot tell.
    """

    def watch() -> None:
        while os.getppid() == place.controller:
            time.sleep(LOOK_EVERY_S)
        act()

    if place.worker and os.getppid() == place.controller:
        threading.Thread(target=watch, name="ldb-controller", daemon=True).start()


def share_of(config: pytest.Config, names: Sequence[str]) -> list[str]:
    """Return what of a list this worker does for all: each part is one worker's."""
    told: dict[str, Any] | None = getattr(config, "workerinput", None)
    if told is None:
        return list(names)
    digits = re.search(r"\d+$", told["workerid"])
    number = int(digits[0]) if digits else 0
    count: int = told["workercount"]
    return [name for i, name in enumerate(sorted(names)) if i % count == number % count]


def tell_controller(run: RunPlugin, servers: list[dict[str, Any]]) -> None:
    """Send the controller which servers this process used, as plain values.

    A process that is its own controller takes them itself.
    """
    if run.config.pluginmanager.hasplugin("dsession"):  # Its workers run the tests.
        servers = [{**server, "processes": 0} for server in servers]
    if hasattr(run.config, "workeroutput"):
        run.config.workeroutput["ldb"] = servers
    else:
        run.used.extend(servers)


def hear_worker(node: Any, run: RunPlugin) -> None:
    """Take what a worker sent; one that was killed has sent nothing."""
    run.used.extend(getattr(node, "workeroutput", {}).get("ldb", ()))
