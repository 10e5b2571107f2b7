"""Tools that replace the network, the clock or the file system for tests."""

from __future__ import annotations

import socket
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from pytest_ldb.databases import REDIS
from pytest_ldb.lifecycle.readiness import ask
from pytest_ldb.model.instance import Address
from pytest_ldb.util import clock
from pytest_ldb.util.fake_files import keep_files
from pytest_ldb.util.poll import tries
from pytest_ldb.util.sockets import connect_to_host

from .engine_socket import EngineSocket


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As pytest-socket does it."""

    class Guarded(socket.socket):
        def __new__(cls, *_: Any, **given: Any) -> Any:
            if "fileno" in given:  # A connection that the engine of the test has accepted.
                return super().__new__(cls)
            raise RuntimeError("A test tried to use socket.socket.")

    def refuse(*_: Any) -> None:
        raise RuntimeError("A test tried to use socket.socket.connect() with a host.")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "socket", Guarded)


def test_requests_to_the_engine_are_not_blocked(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    from pytest_ldb.engines.docker.engine import DockerEngine

    engine = EngineSocket(tmp_path, [("GET /images/json", 200, [])])
    request.getfixturevalue("blocked")
    assert DockerEngine(engine.url).images({}) == []
    engine.close()


def test_readiness_is_not_blocked(request: pytest.FixtureRequest) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        request.getfixturevalue("blocked")
        assert ask(Address("127.0.0.1", port), REDIS.ready, 0.05) == b""
        connect_to_host("localhost", port, 1.0).close()
    with pytest.raises(ConnectionRefusedError):
        connect_to_host("localhost", port, 1.0)


def test_deadlines_come_while_the_clock_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert len(list(tries(0.02, pause_s=0.005))) < 10
    assert clock.now().year > 2000
    assert abs(clock.now() - datetime.now(timezone.utc)).total_seconds() < 60


def test_our_modules_keep_their_files(monkeypatch: pytest.MonkeyPatch) -> None:
    class Patcher:
        """That of pyfakefs."""

        SKIPNAMES: ClassVar[set[str]] = set()

    pyfakefs = ModuleType("pyfakefs.fake_filesystem_unittest")
    pyfakefs.Patcher = Patcher  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, pyfakefs.__name__, pyfakefs)
    keep_files()
    assert {"pytest_ldb.isolation.pool", "pytest_ldb.model.credentials", "subprocess"} <= (
        Patcher.SKIPNAMES
    )
