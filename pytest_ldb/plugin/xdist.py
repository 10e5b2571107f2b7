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
from typing import Any

import pytest

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


_PLACE = pytest.StashKey[Place]()
_SERVERS = pytest.StashKey[list[dict[str, Any]]]()
_ORDERS = pytest.StashKey[list[bytes]]()


def place_of(config: pytest.Config) -> Place:
    """Return this process's place; without xdist it is its own controller."""
    if _PLACE not in config.stash:
        config.stash[_PLACE] = _find_place(config)
    return config.stash[_PLACE]


def announce_place(config: pytest.Config) -> None:
    """Tell workers where they stand before xdist lets us: they ask before that.

    It reaches those that are children of this process. Others have a run of their own.
    """
    place = place_of(config)
    os.environ.pop(ANNOUNCED, None)
    if not place.worker:
        os.environ[ANNOUNCED] = f"{place.run}:{place.controller}"
        config.add_cleanup(_silence)


def _silence() -> None:
    os.environ.pop(ANNOUNCED, None)


def tell_worker(node: Any) -> None:
    """Tell a worker that is about to start where it stands."""
    place = place_of(node.config)
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


def tell_controller(config: pytest.Config, servers: list[dict[str, Any]], order: bytes) -> None:
    """Tell the controller which servers this process used, and what is to be done after the run.

    A process that is its own controller tells itself.
    """
    if config.pluginmanager.hasplugin("dsession"):  # Its workers run the tests.
        servers = [{**server, "processes": 0} for server in servers]
    told = {"servers": servers, "order": order}
    if hasattr(config, "workeroutput"):
        config.workeroutput["ldb"] = told
    else:
        _take_in(config, told)


def hear_worker(node: Any) -> None:
    """Take in what a worker told; one that was killed told nothing."""
    told = getattr(node, "workeroutput", {}).get("ldb")
    if told:
        _take_in(node.config, told)


def _take_in(config: pytest.Config, told: dict[str, Any]) -> None:
    config.stash.setdefault(_SERVERS, []).extend(told["servers"])
    if told["order"]:
        config.stash.setdefault(_ORDERS, []).append(told["order"])


def told_by_all(config: pytest.Config) -> list[dict[str, Any]]:
    """Return what all processes of the run told of servers, if this is the controller."""
    return config.stash.get(_SERVERS, [])


def orders(config: pytest.Config) -> list[bytes]:
    """Return what all processes of the run want to be done after it, if this is the controller."""
    return config.stash.get(_ORDERS, [])


def _find_place(config: pytest.Config) -> Place:
    told: dict[str, Any] | None = getattr(config, "workerinput", None)
    if told is not None:
        return Place(worker=told["workerid"], **told["ldb"])
    run, _, controller = os.environ.get(ANNOUNCED, "").partition(":")
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    # A run that a test of a worker starts inherits both variables, but has another parent.
    if worker and controller == str(os.getppid()):
        return Place(run, worker, int(controller))
    return Place(run=uuid.uuid4().hex[:8], worker="", controller=os.getpid())
