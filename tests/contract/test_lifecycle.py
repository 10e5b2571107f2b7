"""The seven lifecycle commands on the fake and on the real engine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pytest_ldb import REDIS, DatabaseType, Instance, InstanceStatus, Lifecycle
from pytest_ldb.engines.docker.engine import DockerEngine
from pytest_ldb.engines.protocol import Container, Engine
from pytest_ldb.lifecycle.planner import Planner
from pytest_ldb.lifecycle.readiness import ask
from pytest_ldb.model.credentials import UserIdentity
from pytest_ldb.model.errors import InstanceDied, InstanceNotFound, InvalidRequest, NotReady
from pytest_ldb.model.request import LABEL, Scope
from pytest_ldb.model.settings import Settings
from pytest_ldb.testing.fake.engine import FakeEngine

IDENTITY = UserIdentity(bytes(32))
REDIS_TYPE = replace(
    REDIS, image=os.environ.get("LDB_REDIS_IMAGE", REDIS.image), aliases=("alias",)
)


class Servers(Lifecycle):
    """The seven commands, and changes to containers that bypass them."""

    def __init__(
        self, engine: Any, root: Path, database_types: list[DatabaseType], **settings: Any
    ) -> None:
        self.engine = engine
        self.said: list[str] = []
        scope = Scope.of(root, uuid4().hex[:8], IDENTITY.mark)
        planner = Planner(engine, Settings(**settings), scope, IDENTITY, self.said.append)
        super().__init__(planner, database_types)

    def container(self, instance: Instance) -> Container:
        found: Container | None = self.engine.find(f"ldb-{instance.name}")
        assert found is not None
        return found

    def pause(self, instance: Instance) -> None:
        identity = self.container(instance).id
        if isinstance(self.engine, FakeEngine):
            self.engine.pause(identity)
        else:
            subprocess.check_output(["docker", "pause", identity])

    def run(self, instance: Instance, command: str) -> str:
        shell = self.engine.shell(self.container(instance).id, environment={}, ephemeral=False)
        try:
            return str(shell.run(["sh", "-c", command]))
        finally:
            shell.close()


@pytest.fixture(params=["fake", "docker"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    return FakeEngine(tmp_path / "fake") if request.param == "fake" else DockerEngine()


@pytest.fixture
def make(engine: Engine, tmp_path: Path) -> Iterator[Callable[..., Servers]]:
    made: list[Servers] = []

    def make(*database_types: DatabaseType, **settings: Any) -> Servers:
        made.append(Servers(engine, tmp_path, [*database_types] or [REDIS_TYPE], **settings))
        return made[-1]

    yield make
    for servers in made:
        servers.close()


@pytest.fixture
def servers(make: Callable[..., Servers]) -> Servers:
    return make()


def answers(instance: Instance) -> bool:
    assert instance.address is not None
    return REDIS_TYPE.ready.proves(ask(instance.address, REDIS_TYPE.ready))


def test_lifecycle_with_all_seven_commands(servers: Servers) -> None:
    created = servers.create("redis")
    assert created.status is servers.status(created) is InstanceStatus.RUNNING
    assert (created.database_type, created.image) == ("redis", REDIS_TYPE.image)
    assert created.id.version == 4
    assert created.created_at.tzinfo is not None
    assert answers(created)
    assert servers.list() == (created,)

    stopped = servers.stop(created)
    assert (stopped.status, stopped.address) == (InstanceStatus.STOPPED, None)
    assert stopped == replace(created, status=InstanceStatus.STOPPED, address=None)
    assert servers.status(created) is InstanceStatus.STOPPED
    assert servers.list() == (stopped,)

    started = servers.start(stopped)
    assert started == replace(created, address=started.address)
    assert answers(started)

    restarted = servers.restart(started.name)
    assert restarted == replace(created, address=restarted.address)
    assert answers(restarted)

    servers.delete(restarted)
    assert servers.list() == ()
    with pytest.raises(InstanceNotFound, match="no server of this name"):
        servers.status(created)


def test_every_command_is_idempotent(servers: Servers) -> None:
    server = servers.create(REDIS_TYPE)
    assert servers.start(server) == servers.start(server.name) == server
    assert servers.stop(server) == servers.stop(server)
    servers.delete(server)
    servers.delete(server)
    servers.delete("absent")
    servers.close()
    servers.close()


def test_server_is_given_as_instance_name_or_container(servers: Servers) -> None:
    server = servers.create("ALIAS")
    for name in (server, server.name, f"ldb-{server.name}"):
        assert servers.status(name) is InstanceStatus.RUNNING


def test_missing_server_is_an_error_except_for_delete(servers: Servers) -> None:
    for command in (servers.start, servers.stop, servers.restart, servers.status):
        with pytest.raises(InstanceNotFound) as caught:
            command("absent")
        assert caught.value.subject == "absent"
    with pytest.raises(InvalidRequest, match="no database type has this name"):
        servers.create("oracle")


def test_status_comes_from_the_engine(servers: Servers) -> None:
    server = servers.create("redis")
    servers.pause(server)
    assert servers.status(server) is InstanceStatus.STOPPED
    assert servers.start(server) == server
    assert answers(server)
    servers.pause(server)
    assert servers.stop(server).status is InstanceStatus.STOPPED


def test_failed_server_is_an_error(make: Callable[..., Servers]) -> None:
    database_type = replace(
        REDIS_TYPE,
        server=replace(REDIS_TYPE.server, arguments=(), tuning=()),
        command=("sh", "-c", "[ -e fail ] && exit 3; exec redis-server --protected-mode no"),
    )
    servers = make(database_type)
    server = servers.create(database_type)
    servers.run(server, "touch fail")
    servers.stop(server)
    with pytest.raises(InstanceDied, match="the server ended with exit code 3"):
        servers.start(server)
    assert servers.status(server) is InstanceStatus.ERROR
    (listed,) = servers.list()
    assert (listed.id, listed.status) == (server.id, InstanceStatus.ERROR)


def test_status_is_creating_during_creation(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Instance] = []
    start = servers.engine.start

    def look_then_start(container: str) -> Any:
        seen.extend(servers.list())
        return start(container)

    monkeypatch.setattr(servers.engine, "start", look_then_start)
    server = servers.create("redis")
    (young,) = seen
    assert (young.id, young.status, young.address) == (server.id, InstanceStatus.CREATING, None)


def test_server_of_another_process_can_be_started(make: Callable[..., Servers]) -> None:
    server = make().create("redis")
    other = make()
    other.stop(server.name)
    assert other.start(server.name).id == server.id
    other.close()
    assert other.status(server) is InstanceStatus.RUNNING


def test_data_survives_stop(servers: Servers) -> None:
    server = servers.create("redis")
    servers.run(server, "touch survivor")
    servers.restart(server)
    assert servers.run(server, "ls survivor") == "survivor\n"


def test_servers_are_isolated(servers: Servers) -> None:
    one, other = servers.create("redis"), servers.create("redis")
    assert one.address != other.address
    assert one.name != other.name
    servers.stop(one)
    assert servers.status(other) is InstanceStatus.RUNNING
    assert [server.id for server in servers.list()] == [one.id, other.id]


def test_image_can_be_overridden(servers: Servers) -> None:
    server = servers.create("redis", image=REDIS_TYPE.image)
    assert server.image == REDIS_TYPE.image


@pytest.mark.parametrize(
    ("command", "error"), [("echo bad luck; exit 3", InstanceDied), ("sleep 60", NotReady)]
)
def test_failed_creation_leaves_nothing(
    make: Callable[..., Servers], command: str, error: type[Exception]
) -> None:
    server = replace(REDIS_TYPE.server, arguments=(), tuning=())
    database_type = replace(REDIS_TYPE, server=server, command=("sh", "-c", command))
    servers = make(database_type, timeout_s=0.5)
    with pytest.raises(error):
        servers.create(database_type)
    assert servers.list() == ()
    assert servers.created == []


def test_close_deletes_created_servers(servers: Servers) -> None:
    servers.create("redis")
    servers.stop(servers.create("redis"))
    servers.close()
    assert servers.list() == ()
    assert len(servers.created) == 2


def test_servers_of_other_projects_are_not_listed(
    servers: Servers, engine: Engine, tmp_path: Path
) -> None:
    server = servers.create("redis")
    (tmp_path / "other").mkdir()
    others = Servers(engine, tmp_path / "other", [REDIS_TYPE])
    assert others.list() == ()
    with pytest.raises(InstanceNotFound):
        others.stop(server.name)
    others.delete(server.name)
    assert servers.status(server) is InstanceStatus.RUNNING


def test_deleted_instance_does_not_match_a_new_server_of_its_name(servers: Servers) -> None:
    """Kept servers are recreated under their name; an old instance must not stop the new one."""
    server = servers.create("redis")
    gone = replace(server, id=uuid4())
    with pytest.raises(InstanceNotFound):
        servers.stop(gone)
    servers.delete(gone)
    assert servers.status(server) is InstanceStatus.RUNNING


def test_initial_database_has_an_address(servers: Servers) -> None:
    server = servers.create("redis")
    database = servers.database(server)
    assert (database.database, database.host, database.port) == (
        "0",
        *((server.address.host, server.address.port) if server.address else ()),
    )
    assert servers.container(server).labels[f"{LABEL}kept"] == "false"
