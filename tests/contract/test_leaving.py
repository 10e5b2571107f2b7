"""A process obtains a server while the last one releases it, as xdist workers do."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_ldb import REDIS
from pytest_ldb.engines.docker.engine import DockerEngine
from pytest_ldb.engines.protocol import Engine
from pytest_ldb.testing.fake.engine import FakeEngine
from pytest_ldb.testing.servers import Servers

STAYS_S = 0.8


@pytest.fixture(params=["fake", "docker"])
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Servers]:
    engine: Engine = FakeEngine(tmp_path) if request.param == "fake" else DockerEngine()
    started = Servers(engine, tmp_path)
    yield started
    started.close()


@pytest.mark.parametrize("after_s", [0.0, 0.28, 0.3, 0.32, 0.5])
def test_obtain_during_the_last_release_returns_a_server(servers: Servers, after_s: float) -> None:
    database_type = replace(REDIS, image=os.environ.get("LDB_REDIS_IMAGE", REDIS.image))
    servers.obtain(database_type).shell.close()
    time.sleep(after_s)  # After 0.3 s the last shell looks again and stops the server.
    lease = servers.obtain(database_type)
    watch = servers.engine.watch(f"ldb-{lease.instance.name}")
    assert watch.ended(STAYS_S if lease.origin == "attached" else 0.0) is None
    watch.close()
    assert lease.shell.run(["echo", "usable"]) == "usable\n"
