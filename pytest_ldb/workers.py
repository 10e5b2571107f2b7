"""What the controller of an xdist run hands to its workers. The only file that knows xdist."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import pytest

_KEY = "ldb_run"


@dataclass(frozen=True)
class Place:
    """Where in a run this process stands.

    Args:
        run: The id of the run, 8 hex digits, the same in all its processes.
        worker: The id of this worker; empty for a process that is its own controller.
    """

    run: str
    worker: str


def find_place(config: pytest.Config) -> Place:
    """Return this process's place; without xdist it is its own controller."""
    handed: dict[str, Any] | None = getattr(config, "workerinput", None)
    if handed is None:
        return Place(run=uuid.uuid4().hex[:8], worker="")
    return Place(run=handed[_KEY], worker=handed["workerid"])


def hand_over(config: pytest.Config, place: Place) -> None:
    """Have the workers told, if this process is the controller of any."""
    if config.pluginmanager.hasplugin("xdist") and not place.worker:
        config.pluginmanager.register(_Controller(place), "ldb-controller")


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
