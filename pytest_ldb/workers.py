"""What the controller of an xdist run hands to its workers. The only file that knows xdist."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

_KEY = "ldb_run"
_CONTROLLER = "ldb_controller"
LOOK_EVERY_S = 0.2


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
    """Return this process's place; without xdist it is its own controller."""
    handed: dict[str, Any] | None = getattr(config, "workerinput", None)
    if handed is None:
        return Place(run=uuid.uuid4().hex[:8], worker="", controller=os.getpid())
    return Place(run=handed[_KEY], worker=handed["workerid"], controller=handed[_CONTROLLER])


def hand_over(config: pytest.Config, place: Place) -> None:
    """Have the workers told, if this process is the controller of any."""
    if config.pluginmanager.hasplugin("xdist") and not place.worker:
        config.pluginmanager.register(_Controller(place), "ldb-controller")


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


def hand_back(config: pytest.Config, servers: list[dict[str, Any]]) -> None:
    """Have the controller told which servers this worker used, if it is a worker."""
    if hasattr(config, "workeroutput"):
        config.workeroutput[_KEY] = servers


def handed_back(config: pytest.Config) -> list[dict[str, Any]]:
    """Return what the workers told; a killed worker told nothing."""
    controller = config.pluginmanager.getplugin("ldb-controller")
    return controller.servers if controller is not None else []


class _Controller:
    def __init__(self, place: Place) -> None:
        self._place = place
        self.servers: list[dict[str, Any]] = []

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.servers += getattr(node, "workeroutput", {}).get(_KEY, [])

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[_KEY] = self._place.run
        node.workerinput[_CONTROLLER] = self._place.controller
