"""The fake and the real engine do the same."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from pytest_ldb import REDIS
from pytest_ldb.engines.docker.sdk_engine import DockerRuntime
from pytest_ldb.engines.docker.socket_engine import LocalRuntime
from pytest_ldb.engines.docker.transport.discovery import local_engine
from pytest_ldb.testing import RuntimeContract
from pytest_ldb.testing.fake.engine import FakeRuntime


class TestFakeRuntime(RuntimeContract):
    root = "."
    terminals = False
    test_on_a_terminal_there_is_one_stream_of_its_size = None  # type: ignore[assignment]

    @pytest.fixture(scope="class")
    @classmethod
    def make_runtime(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], FakeRuntime]:
        return partial(FakeRuntime, tmp_path_factory.mktemp("fake"))

    def pause(self, runtime: Any, container: str) -> None:
        runtime.pause(container)


class TestDockerRuntime(RuntimeContract):
    image = os.environ.get("LDB_REDIS_IMAGE", REDIS.image)

    @pytest.fixture(scope="class")
    @classmethod
    def make_runtime(cls) -> Callable[[], DockerRuntime]:
        return DockerRuntime

    def pause(self, runtime: Any, container: str) -> None:
        subprocess.run(["docker", "pause", container], check=True, stdout=subprocess.DEVNULL)


class TestLocalRuntime(TestDockerRuntime):
    @pytest.fixture(scope="class")
    @classmethod
    def make_runtime(cls) -> Callable[[], Any]:
        url = local_engine()
        assert url is not None, "the engine is not on this machine"
        return partial(LocalRuntime, url)
