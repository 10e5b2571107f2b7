"""Every engine fulfils its contract over every transport."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_ldb import REDIS
from pytest_ldb.engines.docker.engine import DockerEngine
from pytest_ldb.engines.docker.transport.contexts import engine_address
from pytest_ldb.engines.protocol import File
from pytest_ldb.testing import EngineContract
from pytest_ldb.testing.clients import ClientContract
from pytest_ldb.testing.containers import Containers
from pytest_ldb.testing.executions import ExecutionContract
from pytest_ldb.testing.fake.engine import FakeEngine
from pytest_ldb.testing.logs import LogContract
from pytest_ldb.testing.shells import ShellContract

from .tls_relay import TlsRelay

IMAGE = os.environ.get("LDB_REDIS_IMAGE", REDIS.image)


class TestFakeEngine(EngineContract):
    root = "."
    terminals = False
    test_tty_exec_has_one_stream_and_the_terminal_size = None  # type: ignore[assignment]

    @pytest.fixture(scope="class")
    @classmethod
    def make_engine(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], FakeEngine]:
        return partial(FakeEngine, tmp_path_factory.mktemp("fake"))

    def pause(self, engine: Any, container: str) -> None:
        engine.pause(container)


class TestUnixTransport(EngineContract):
    image = IMAGE

    @pytest.fixture(scope="class")
    @classmethod
    def make_engine(cls) -> Callable[[], DockerEngine]:
        return partial(DockerEngine, unix_address())

    def pause(self, engine: Any, container: str) -> None:
        subprocess.run(["docker", "pause", container], check=True, stdout=subprocess.DEVNULL)


class TestSdkTransport(ShellContract, ClientContract, LogContract):
    """Operations that hijack and close connections, over TLS; the rest are plain requests."""

    @pytest.fixture(scope="class")
    @classmethod
    def make_engine(cls, certificates: Path) -> Iterator[Callable[[], DockerEngine]]:
        relay = TlsRelay(unix_address().removeprefix("unix://"), certificates)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DOCKER_HOST", relay.url)
            patch.setenv("DOCKER_TLS_VERIFY", "1")
            patch.setenv("DOCKER_CERT_PATH", str(certificates))
            yield DockerEngine
        relay.close()

    @pytest.fixture(scope="class")
    @classmethod
    def containers(cls, make_engine: Callable[[], DockerEngine]) -> Iterator[Containers]:
        made = Containers(make_engine(), IMAGE)
        yield made
        made.close()

    beside = ExecutionContract.beside
    test_exec_input_arrives_completely = ExecutionContract.test_exec_input_arrives_completely
    test_exec_output_is_readable_while_input_is_open = (
        ExecutionContract.test_exec_output_is_readable_while_input_is_open
    )
    test_large_exec_output_arrives_completely = (
        ExecutionContract.test_large_exec_output_arrives_completely
    )
    test_exited_container_reports_the_cause = EngineContract.test_exited_container_reports_the_cause
    test_log_tail_returns_the_last_lines = EngineContract.test_log_tail_returns_the_last_lines
    test_late_watch_sees_the_log_from_the_start = (
        EngineContract.test_late_watch_sees_the_log_from_the_start
    )

    def test_files_are_placed(self, containers: Containers) -> None:
        identity, watch = containers.run(
            "cat /deep/file", files={"/deep/file": File(b"x" * 100_000)}
        )
        assert watch.ended(10.0)
        watch.close()
        assert sum(map(len, containers.engine.log(identity))) == 100_000


def unix_address() -> str:
    """Return the address of the engine that the tests use."""
    url = engine_address()
    assert url is not None
    assert url.startswith("unix://"), "the engine is not on this machine"
    return url
