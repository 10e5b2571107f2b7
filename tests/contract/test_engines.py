"""The fake and the real engine do the same."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from pytest_ldb import REDIS
from pytest_ldb.engines.docker.sdk_engine import SdkEngine
from pytest_ldb.engines.docker.socket_engine import SocketEngine
from pytest_ldb.engines.docker.transport.discovery import local_engine
from pytest_ldb.testing import EngineContract
from pytest_ldb.testing.fake.engine import FakeEngine


class TestFakeEngine(EngineContract):
    root = "."
    terminals = False
    test_on_a_terminal_there_is_one_stream_of_its_size = None  # type: ignore[assignment]

    @pytest.fixture(scope="class")
    @classmethod
    def make_engine(cls, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], FakeEngine]:
        return partial(FakeEngine, tmp_path_factory.mktemp("fake"))

    def pause(self, engine: Any, container: str) -> None:
        engine.pause(container)


class TestSdkEngine(EngineContract):
    image = os.environ.get("LDB_REDIS_IMAGE", REDIS.image)

    @pytest.fixture(scope="class")
    @classmethod
    def make_engine(cls) -> Callable[[], SdkEngine]:
        return SdkEngine

    def pause(self, engine: Any, container: str) -> None:
        subprocess.run(["docker", "pause", container], check=True, stdout=subprocess.DEVNULL)


class TestSocketEngine(TestSdkEngine):
    @pytest.fixture(scope="class")
    @classmethod
    def make_engine(cls) -> Callable[[], Any]:
        url = local_engine()
        assert url is not None, "the engine is not on this machine"
        return partial(SocketEngine, url)
