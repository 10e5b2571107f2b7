"""The object returned by `ldb.server`, on the fake and on the real engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import redis

from pytest_ldb import Server, ServerProgram
from pytest_ldb.lifecycle.readiness import ask
from pytest_ldb.model.errors import InstanceDied, InstanceNotFound, InvalidRequest, NotRunning
from pytest_ldb.testing.fake.engine import FakeEngine

from .test_lifecycle import REDIS_TYPE, Servers, engine, make, servers

__all__ = ["engine", "make", "servers"]


def answers(server: Server) -> bool:
    database = server.database
    assert server.url == database.url
    assert f":{database.port}/" in server.url
    return REDIS_TYPE.ready.proves(ask(database.address, REDIS_TYPE.ready))


def test_url_is_current_after_each_command(servers: Servers) -> None:
    with servers.server("redis") as server:
        assert answers(server)
        assert servers.status(server.instance) == server.instance.status == "running"

        server.stop()
        assert server.instance.status == "stopped"
        with pytest.raises(NotRunning, match="it is not running, so it has no address"):
            _ = server.url

        server.start()
        assert answers(server)
        server.restart()
        assert answers(server)
        assert repr(server) == f"<Server {server.instance.name!r}, running>"


def test_leaving_the_with_block_deletes_the_server(servers: Servers) -> None:
    with pytest.raises(ZeroDivisionError), servers.server("alias") as server:
        raise ZeroDivisionError
    assert servers.list() == ()
    with pytest.raises(NotRunning):
        _ = server.url
    with pytest.raises(InstanceNotFound):
        server.start()
    server.delete()


def test_server_without_with_block_is_deleted_at_session_end(servers: Servers) -> None:
    server = servers.server(REDIS_TYPE)
    assert [instance.id for instance in servers.list()] == [server.instance.id]
    assert servers.created == [server.instance]
    servers.close()
    assert servers.list() == ()


@pytest.mark.parametrize(
    "command",
    [
        ["redis-server", "--port", "6379", "--maxmemory", "3mb"],
        ("--maxmemory", "3mb"),
        "--maxmemory '3mb'",
    ],
    ids=["program", "arguments", "string"],
)
def test_command_argument_overrides_the_type(
    make: Callable[..., Servers], command: str | Sequence[str]
) -> None:
    servers = make(replace(REDIS_TYPE, command=("--maxmemory", "1mb")))
    if isinstance(servers.engine, FakeEngine):
        pytest.skip("the fake engine runs no Redis")
    with servers.server("redis", command=command) as server:
        assert _maxmemory(server) == 3 * 2**20
        server.restart()
        assert _maxmemory(server) == 3 * 2**20


def _maxmemory(server: Server) -> int:
    with redis.Redis(**server.database.connect_args("redis")) as client:
        return int(client.config_get("maxmemory")["maxmemory"])


def test_failed_start_leaves_no_address(servers: Servers) -> None:
    with servers.server(REDIS_TYPE) as server:
        servers.delete(server.instance)
        with pytest.raises(InstanceNotFound):
            server.restart()
    with pytest.raises(InstanceDied):
        servers.server(replace(REDIS_TYPE, server=ServerProgram()), command="sh -c 'exit 3'")
    assert servers.list() == ()


def test_unknown_type_is_an_error(servers: Servers) -> None:
    with pytest.raises(InvalidRequest, match="no database type has this name"):
        servers.server("oracle")
