"""Starting a server with pytest-ldb and with the least number of engine calls, in turns.

start.py copies this as a test. The floor is a container of exactly the same configuration:
created, started, and asked the same question every 2 ms until it answers as it should. Ours is
what `Session.server` takes. Both have imported the SDK and talked to the engine before; what else
ours imports, locks and looks up counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_ldb.plugin.session import Session

HERE = Path(__file__).parent
TASK = "task.json"
TIMES = "times.json"
CONFIGURATION = "configuration.json"
"""The configuration of the container that the first run of pytest-ldb created."""

UNUSED_LABEL = "pytest-ldb.unused"
"""A label that no container has."""

PAUSE_S = 0.002
GONE_AFTER_S = 30.0


def test_in_turns(pytestconfig: pytest.Config) -> None:
    from docker import from_env  # noqa: TID251 - it is the least that starting a server takes

    from pytest_ldb.plugin.state import RUN

    task = json.loads((HERE / TASK).read_text())
    session = pytestconfig.stash[RUN].session()
    api: Any = from_env().api
    api.ping()
    session.services().engine.containers({UNUSED_LABEL: ""})
    work: dict[str, Callable[[], float]] = {
        "ours": lambda: _ours(session, api, task["database"]),
        "floor": lambda: _floor(session, api, task["database"], task["label"]),
    }
    times = {name: work[name]() for name in task["order"]}
    (HERE / TIMES).write_text(json.dumps(times))


def _ours(session: Session, api: Any, database: str) -> float:
    began = time.perf_counter()
    lease = session.server(database).lease
    took = time.perf_counter() - began
    container = f"ldb-{lease.instance.name}"
    if not (HERE / CONFIGURATION).exists():
        found = api.inspect_container(container)
        (HERE / CONFIGURATION).write_text(json.dumps(found))
    session.close()
    _wait_until_gone(session, container)
    return took


def _floor(session: Session, api: Any, database: str, label: str) -> float:
    from pytest_ldb.lifecycle.readiness import ask
    from pytest_ldb.model.instance import Address, type_named

    found = json.loads((HERE / CONFIGURATION).read_text())
    wanted = {**found["Config"], "HostConfig": found["HostConfig"], "Labels": {label: ""}}
    del wanted["Hostname"]  # the id of the first one
    database_type = type_named(database, session.run.types)
    began = time.perf_counter()
    container = api.create_container_from_config(wanted, f"{label}-floor")["Id"]
    try:
        api.start(container)
        ports = api.inspect_container(container)["NetworkSettings"]["Ports"]
        place = ports[f"{database_type.port}/tcp"][0]
        address = Address(place["HostIp"], int(place["HostPort"]))
        while not database_type.ready.proves(ask(address, database_type.ready)):
            time.sleep(PAUSE_S)
        return time.perf_counter() - began
    finally:
        with suppress(Exception):  # the container may be removing itself
            api.remove_container(container, force=True, v=True)
        _wait_until_gone(session, container)


def _wait_until_gone(session: Session, container: str) -> None:
    """The removal must not slow down the next measurement."""
    patience = time.monotonic() + GONE_AFTER_S
    while session.services().engine.find(container) is not None and time.monotonic() < patience:
        time.sleep(0.05)
