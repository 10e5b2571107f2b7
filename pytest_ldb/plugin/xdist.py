"""Communication between the controller of an xdist run and its workers.

This is the only module that depends on xdist.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from ..util.home import surroundings

if TYPE_CHECKING:
    from .state import RunPlugin

LOOK_EVERY_S = 0.2

ANNOUNCED = "PYTEST_LDB_RUN"
"""Environment variable with what workers are told of their controller, as JSON."""


@dataclass(frozen=True)
class Place:
    """The position of a process in the run.

    Args:
        run: Id of the run, 8 hex digits, the same in all its processes.
        worker: Id of this worker; empty in the controller and without xdist.
        controller: Process id of the controller.
        home: Where the user's directories are, see :func:`surroundings`. Workers get it from the
            controller, as they inherit what its conftest files have made of its environment.
    """

    run: str
    worker: str
    controller: int
    home: Mapping[str, str]


def find_place(config: pytest.Config) -> Place:
    """Return this process's position; without xdist it is the controller of a new run."""
    from .state import HOME

    worker_input: dict[str, Any] | None = getattr(config, "workerinput", None)
    home = config.stash.get(HOME, None) or surroundings()
    if worker_input is not None:
        given = json.loads(worker_input["ldb"])
        if given["controller"] != os.getppid():  # It may run on another machine.
            given = {**given, "home": home}
        return Place(worker=worker_input["workerid"], **given)
    announced = json.loads(os.environ.get(ANNOUNCED, "{}"))
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    # A pytest run that a test starts inherits both variables, but its parent is the worker.
    if worker and announced.get("controller") == os.getppid():
        return Place(worker=worker, **announced)
    return Place(run=uuid.uuid4().hex[:8], worker="", controller=os.getpid(), home=home)


def announce_place(config: pytest.Config, place: Place) -> None:
    """Pass the position to workers in the environment, as ``--ldb-env`` needs it early.

    xdist's ``workerinput`` is not available then. Workers that are not child processes, on another
    machine, do not get the variable and form runs of their own.
    """
    os.environ.pop(ANNOUNCED, None)
    if not place.worker:
        os.environ[ANNOUNCED] = _told(place)
        config.add_cleanup(_silence)


def _silence() -> None:
    os.environ.pop(ANNOUNCED, None)


def tell_worker(node: Any, place: Place) -> None:
    """Send the id of the run and the controller's process id to a worker before it starts."""
    node.workerinput["ldb"] = _told(place)


def _told(place: Place) -> str:
    # JSON, as neither execnet nor the environment takes paths that are not UTF-8.
    return json.dumps({"run": place.run, "controller": place.controller, "home": place.home})


def when_controller_is_gone(place: Place, act: Callable[[], None]) -> None:
    """Call ``act`` in a thread if the controller ends before this worker.

    After the controller was killed, a worker continues its test for seconds, and its servers would
    continue to run. Workers that are not child processes of the controller, on another machine, do
    not notice its end.
    """

    def watch() -> None:
        while os.getppid() == place.controller:
            time.sleep(LOOK_EVERY_S)
        act()

    if place.worker and os.getppid() == place.controller:
        threading.Thread(target=watch, name="ldb-controller", daemon=True).start()


def share_of(config: pytest.Config, names: Sequence[str]) -> list[str]:
    """Return this worker's part of a list; the parts of all workers make up the whole list."""
    worker_input: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker_input is None:
        return list(names)
    digits = re.search(r"\d+$", worker_input["workerid"])
    number = int(digits[0]) if digits else 0
    count: int = worker_input["workercount"]
    return [name for i, name in enumerate(sorted(names)) if i % count == number % count]


def tell_controller(run: RunPlugin, servers: list[dict[str, Any]]) -> None:
    """Send usage records to the controller; the controller itself stores them."""
    if run.config.pluginmanager.hasplugin("dsession"):  # The tests ran in workers, not here.
        servers = [{**server, "processes": 0} for server in servers]
    if hasattr(run.config, "workeroutput"):
        run.config.workeroutput["ldb"] = servers
    else:
        run.used.extend(servers)


def hear_worker(node: Any, run: RunPlugin) -> None:
    """Store the usage records of a worker; a killed worker has sent none."""
    run.used.extend(getattr(node, "workeroutput", {}).get("ldb", ()))
