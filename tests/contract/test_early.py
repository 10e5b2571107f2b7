"""Preopened shells on the real engine."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pytest_ldb import REDIS
from pytest_ldb.engines.docker.engine import DockerEngine
from pytest_ldb.engines.docker.payloads import Command, shell_command
from pytest_ldb.engines.docker.preopened import PreopenedShells
from pytest_ldb.engines.docker.transport.contexts import engine_address
from pytest_ldb.engines.docker.transport.http import unix_transport
from pytest_ldb.testing.containers import Containers

ENVIRONMENT = {"NAME": "value"}
COMMAND = shell_command(ENVIRONMENT, ephemeral=False)


@pytest.fixture(scope="module")
def url() -> str:
    found = engine_address()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def container(url: str) -> Iterator[str]:
    made = Containers(DockerEngine(url), os.environ.get("LDB_REDIS_IMAGE", REDIS.image))
    yield made.serve().id
    made.close()


def test_engine_uses_preopened_shells(url: str, container: str) -> None:
    early = PreopenedShells(unix_transport(url), {container: ENVIRONMENT})
    engine = DockerEngine(url, early)
    shells = [engine.shell(container, environment=ENVIRONMENT, ephemeral=False) for _ in range(2)]
    assert [shell.others for shell in shells] == [0, 1]
    for shell in shells:
        assert shell.run(["sh", "-c", "echo $NAME"]) == "value\n"
        shell.close()
    assert early.take(container, COMMAND) is None


@pytest.mark.parametrize(
    "command",
    [
        shell_command({}, ephemeral=False),
        shell_command(ENVIRONMENT, ephemeral=True),
        shell_command({"NAME": "other"}, ephemeral=False),
    ],
)
def test_preopened_shell_is_used_for_an_identical_request_only(
    url: str, container: str, command: Command
) -> None:
    early = PreopenedShells(unix_transport(url), {container: ENVIRONMENT})
    assert early.take(container, command) is None
    assert early.take("0" * 64, COMMAND) is None
    early.close()


def test_unused_preopened_shells_do_not_hold_the_server(url: str, container: str) -> None:
    early = PreopenedShells(unix_transport(url), {container: ENVIRONMENT})
    for _ in range(2):
        shell = DockerEngine(url).shell(container, environment=ENVIRONMENT, ephemeral=False)
        assert shell.others == 0
        shell.close()
        early.close()


def test_missing_container_has_no_preopened_shell(url: str) -> None:
    early = PreopenedShells(unix_transport(url), {"0" * 64: ENVIRONMENT})
    assert early.take("0" * 64, COMMAND) is None
    early.close()


def test_unreachable_engine_has_no_preopened_shell(container: str) -> None:
    early = PreopenedShells(unix_transport("unix:///nowhere"), {container: ENVIRONMENT})
    assert early.take(container, COMMAND) is None
