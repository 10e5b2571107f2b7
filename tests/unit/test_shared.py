"""Obtaining shared servers on the fake engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Barrier
from typing import Any
from unittest.mock import ANY
from uuid import uuid4

import pytest

from pytest_ldb.cli.inventory import run_beside
from pytest_ldb.engines.protocol import Container, ContainerSpec, Image, Watch
from pytest_ldb.isolation.databases import databases_on
from pytest_ldb.lifecycle import decision, shared, starter
from pytest_ldb.lifecycle.cache import ServerCache
from pytest_ldb.lifecycle.container_spec import identified
from pytest_ldb.lifecycle.hold import PendingServer
from pytest_ldb.lifecycle.lease import Lease
from pytest_ldb.lifecycle.planner import ResolvedServer, resolved
from pytest_ldb.lifecycle.readiness import ask
from pytest_ldb.lifecycle.shared import SharedServers
from pytest_ldb.model.credentials import UserIdentity
from pytest_ldb.model.database_type import DatabaseType, Operations
from pytest_ldb.model.errors import (
    CommandFailed,
    EngineFailed,
    ForeignContainer,
    InstanceDied,
    InvalidRequest,
    NotReady,
    PortTaken,
    ShellLost,
)
from pytest_ldb.model.instance import InstanceStatus
from pytest_ldb.model.request import LABEL, CreateInstanceRequest, Scope
from pytest_ldb.testing.fake.engine import FakeEngine
from pytest_ldb.testing.processes import wait_until

from .conftest import FAKE

pytestmark = pytest.mark.process

IDENTITY = UserIdentity(bytes(32))
GONE_WITHIN_S = 2.0


def running(script: str, **changes: Any) -> DatabaseType:
    """Return a type whose container runs a script."""
    return replace(FAKE, command=("sh", "-c", script), **changes)


@dataclass
class Run:
    """A run of pytest, reduced to obtaining servers."""

    fake: FakeEngine
    directory: Path
    id: str = field(default_factory=lambda: uuid4().hex[:8])
    recreate: bool = False
    timeout_s: float = 10.0
    said: list[str] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list)

    def request(self, database_type: DatabaseType = FAKE, **changes: Any) -> CreateInstanceRequest:
        values: dict[str, Any] = {
            "image": database_type.image,
            "image_id": f"id of {database_type.image}",
            **changes,
        }
        scope = Scope(project="shop-12345678", run=self.id)
        return CreateInstanceRequest(database_type=database_type, scope=scope, **values)

    def obtain(self, database_type: DatabaseType = FAKE, **changes: Any) -> Lease:
        server = self.server(database_type, **changes)
        self.said.clear()
        lease = self.sharing.obtain(server)
        self.leases.append(lease)
        return lease

    def server(self, database_type: DatabaseType = FAKE, **changes: Any) -> ResolvedServer:
        request = self.request(database_type, **changes)
        return resolved(request, self.image(request.image), IDENTITY)

    def image(self, reference: str) -> Image:
        return self.fake.image(reference, pull="missing", say=self.said.append)

    @property
    def cache(self) -> ServerCache:
        return ServerCache(self.directory / "cache", IDENTITY.mark, self.fake.url, "never")

    @property
    def sharing(self) -> SharedServers:
        return SharedServers(
            engine=self.fake,
            cache=self.cache,
            directory=self.directory,
            timeout_s=self.timeout_s,
            recreate=self.recreate,
            say=self.said.append,
        )

    def create(self, request: CreateInstanceRequest, **changes: Any) -> str:
        """Create a container for a request without starting it."""
        image = self.fake.image(request.image, pull="missing", say=self.said.append)
        spec = identified(resolved(request, image, IDENTITY).spec, uuid4())
        return self.fake.create(replace(spec, **changes))

    def end(self) -> None:
        for lease in self.leases:
            lease.shell.close()
        self.leases.clear()


@pytest.fixture
def make_run(fake: FakeEngine, tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def make(**changes: Any) -> Run:
        runs.append(Run(fake, **{"directory": tmp_path / "locks", **changes}))
        return runs[-1]

    yield make
    for run in runs:
        run.end()


@pytest.fixture
def run(make_run: Callable[..., Run]) -> Run:
    return make_run()


def only(fake: FakeEngine) -> Container:
    (container,) = fake.containers({})
    return container


def test_first_process_creates_and_others_attach(run: Run) -> None:
    first, second = run.obtain(), run.obtain()
    assert (first.origin, second.origin) == ("created", "attached")
    assert first.instance == second.instance
    assert first.instance.status is InstanceStatus.RUNNING
    assert first.instance.name == f"shop-12345678-fake-{run.id}"
    assert (first.shell.others, second.shell.others) == (0, 1)
    assert not first.outlives_run
    assert first.start_s > 0
    assert run.said == []
    assert only(run.fake).state == "running"


@pytest.mark.parametrize(("port", "tries"), [(None, 3), (15432, 1)])
def test_start_is_repeated_if_the_port_that_the_engine_chose_is_taken(
    run: Run, monkeypatch: pytest.MonkeyPatch, port: int | None, tries: int
) -> None:
    started: list[str] = []

    def start(name: str) -> Watch:
        started.append(name)
        raise PortTaken(name, "port 34026 is already in use", port=34026)

    monkeypatch.setattr(run.fake, "start", start)
    with pytest.raises(PortTaken):
        run.obtain(host_port=port)
    assert len(started) == tries
    assert not run.fake.containers({})


def test_server_labels_identify_owner_and_request(run: Run) -> None:
    instance = run.obtain().instance
    labels = only(run.fake).labels
    assert labels[f"{LABEL}id"] == str(instance.id)
    assert instance.id.version == 4
    assert labels[f"{LABEL}project"] == "shop-12345678"
    assert labels[f"{LABEL}run"] == run.id
    assert labels[f"{LABEL}kept"] == "false"
    assert str(instance.credentials.password) not in str(labels)


def test_runs_are_isolated(make_run: Callable[..., Run]) -> None:
    one, other = make_run().obtain(), make_run().obtain()
    assert one.instance.id != other.instance.id


def test_last_process_stops_the_server(run: Run) -> None:
    first, second = run.obtain(), run.obtain()
    name = only(run.fake).name
    first.shell.close()
    assert second.shell.run(["echo", "still here"]) == "still here\n"
    second.shell.close()
    wait_until(lambda: run.fake.find(name) is None, GONE_WITHIN_S, "the server still exists")


def test_next_run_attaches_to_the_kept_server(make_run: Callable[..., Run]) -> None:
    before, after = make_run(), make_run()
    first = before.obtain(kept=True)
    assert first.outlives_run
    before.end()
    second = after.obtain(kept=True)
    assert second.origin == "attached"
    assert second.instance == first.instance
    assert before.said == after.said == []


def is_free(fake: FakeEngine, lease: Lease) -> bool:
    return run_beside(fake, lease.container, ["sh", "-c", 'ls "$LDB_HOME/leases"']) == ""


def test_changed_image_replaces_the_kept_server_and_is_reported(
    make_run: Callable[..., Run],
) -> None:
    before, after = make_run(), make_run()
    first = before.obtain(kept=True)
    before.end()
    wait_until(lambda: is_free(after.fake, first), 5.0, "the server is still in use")
    second = after.obtain(kept=True, image="fake:2")
    assert second.origin == "created"
    assert second.instance.id != first.instance.id
    assert after.said == ["fake: replacing the kept server: image was fake:1, is fake:2"]
    assert only(after.fake).name == f"ldb-{second.instance.name}"


def test_kept_server_in_use_is_not_replaced(
    make_run: Callable[..., Run],
) -> None:
    first = make_run().obtain(kept=True)
    after = make_run()
    after.obtain(kept=True, image="fake:2")
    assert after.said == []
    assert len(after.fake.containers({})) == 2
    assert first.shell.run(["echo", "usable"]) == "usable\n"


@pytest.mark.parametrize("state", ["exited", "paused"])
def test_stopped_predecessor_is_replaced(make_run: Callable[..., Run], state: str) -> None:
    before, after = make_run(), make_run()
    before.obtain(kept=True)
    before.end()
    {"exited": before.fake.stop, "paused": before.fake.pause}[state](only(before.fake).id)
    after.obtain(kept=True, image="fake:2")
    assert len(after.fake.containers({})) == 1


def test_kept_server_of_another_schema_is_not_touched(make_run: Callable[..., Run]) -> None:
    before, after = make_run(), make_run()
    request = before.request(kept=True, image="fake:0")
    labels = {f"{LABEL}schema": "0", f"{LABEL}project": "shop-12345678"}
    before.create(request, labels={**labels, f"{LABEL}type": "fake", f"{LABEL}kept": "true"})
    after.obtain(kept=True)
    assert len(after.fake.containers({})) == 2


def test_recreate_replaces_the_servers_of_earlier_runs_only(make_run: Callable[..., Run]) -> None:
    before, after = make_run(), make_run(recreate=True)
    first = before.obtain(kept=True)
    before.end()
    second, third = after.obtain(kept=True), after.obtain(kept=True)
    assert second.instance.id != first.instance.id
    assert second.instance.id == third.instance.id
    assert (second.origin, third.origin) == ("created", "attached")


def test_recreate_is_reported(make_run: Callable[..., Run]) -> None:
    before, after = make_run(), make_run(recreate=True)
    before.obtain(kept=True)
    before.end()
    after.obtain(kept=True)
    assert after.said == ["fake: replacing the kept server (--ldb-recreate)"]


def test_recreate_does_not_affect_a_running_run(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision, "ABANDONED_AFTER_S", 0.1)
    first = make_run().obtain(kept=True)
    with pytest.raises(InvalidRequest, match="is in use by another run"):
        make_run(recreate=True).obtain(kept=True)
    assert first.shell.run(["echo", "usable"]) == "usable\n"


def test_paused_server_is_resumed(make_run: Callable[..., Run]) -> None:
    before, after = make_run(), make_run()
    first = before.obtain(kept=True)
    before.end()
    after.fake.pause(only(after.fake).id)
    second = after.obtain(kept=True)
    assert second.origin == "attached"
    assert second.instance == first.instance
    assert second.instance.status is InstanceStatus.RUNNING


def test_stopped_kept_server_is_replaced(
    make_run: Callable[..., Run],
) -> None:
    before, after = make_run(), make_run()
    before.obtain(kept=True)
    before.end()
    before.fake.stop(only(before.fake).id)
    assert after.obtain(kept=True).origin == "created"
    assert after.said == ["fake: replacing the kept server (state: exited)"]
    assert only(after.fake).state == "running"


def test_stopped_durable_kept_server_is_restarted(make_run: Callable[..., Run]) -> None:
    before, after = make_run(), make_run()
    first = before.obtain(kept=True, durable=True)
    before.end()
    before.fake.stop(only(before.fake).id)
    second = after.obtain(kept=True, durable=True)
    assert second.origin == "restarted"
    assert second.instance.id == first.instance.id
    assert second.instance.status is InstanceStatus.RUNNING
    assert after.said == ["fake: restarting the kept server (state: exited)"]


def test_exited_server_of_the_run_is_replaced(run: Run) -> None:
    request = run.request(running("exit 0"), durable=True)
    identity = run.create(request, auto_remove=False)
    assert run.fake.start(identity).ended(5.0)
    assert run.obtain(durable=True).origin == "created"
    assert only(run.fake).id != identity


DEAF = running("redis-server & echo $! >pid; wait; exec sleep 60")
"""Its server can be killed; then the container runs but does not answer."""


def test_unresponsive_kept_server_is_replaced(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "DEAF_AFTER_S", 0.1)
    before, after = make_run(), make_run()
    first = before.obtain(DEAF, kept=True)
    first.shell.run(["sh", "-c", "kill $(cat pid)"])
    before.end()
    second = after.obtain(DEAF, kept=True)
    assert (second.origin, second.instance.id == first.instance.id) == ("created", False)
    assert after.said == ["fake: replacing the server (running, but it does not answer)"]
    assert only(after.fake).name == f"ldb-{second.instance.name}"


@pytest.mark.parametrize("labels", [{}, {f"{LABEL}schema": "0"}], ids=["foreign", "older"])
def test_foreign_container_is_never_touched(run: Run, labels: dict[str, str]) -> None:
    identity = run.create(run.request(), labels=labels)
    with pytest.raises(ForeignContainer) as caught:
        run.obtain()
    assert f"docker rm --force --volumes ldb-shop-12345678-fake-{run.id}" in str(caught.value)
    assert only(run.fake).id == identity


def test_abandoned_container_is_replaced(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision, "ABANDONED_AFTER_S", 0.1)
    identity = run.create(run.request())
    assert run.obtain().origin == "created"
    assert only(run.fake).id != identity


def test_container_about_to_start_is_awaited(run: Run) -> None:
    identity = run.create(run.request())
    with ThreadPoolExecutor(1) as pool:
        obtaining = pool.submit(run.obtain)
        time.sleep(0.05)  # The result must not depend on whether the wait has started.
        run.fake.start(identity)
        lease = obtaining.result(10.0)
    assert lease.origin == "attached"
    assert only(run.fake).id == identity


@pytest.mark.parametrize("hosts", [1, 4])
def test_concurrent_obtain_creates_one_server(
    make_run: Callable[..., Run], tmp_path: Path, hosts: int
) -> None:
    """Processes on one host share the lock; those on several hosts share only the engine."""
    slow = running("sleep 0.3; exec redis-server")
    runs = [make_run(id="cafe0123", directory=tmp_path / f"host {n % hosts}") for n in range(4)]
    gate = Barrier(len(runs))

    def obtain(run: Run) -> Lease:
        gate.wait()
        lease = run.obtain(slow)
        assert lease.instance.address
        assert slow.ready.proves(ask(lease.instance.address, slow.ready))
        return lease

    with ThreadPoolExecutor(len(runs)) as pool:
        leases = list(pool.map(obtain, runs))
    assert sorted(lease.origin for lease in leases) == ["attached"] * 3 + ["created"]
    assert len({lease.instance.id for lease in leases}) == 1
    assert only(runs[0].fake).state == "running"


def test_attaching_to_a_ready_server_does_not_wait(run: Run) -> None:
    first, second = run.obtain(running("sleep 0.3; exec redis-server")), None
    second = run.obtain(running("sleep 0.3; exec redis-server"))
    assert first.ready_s > 0.2
    assert second.ready_s < 0.1


@pytest.mark.parametrize(("cache", "what"), [(False, "starting"), (True, "initialising")])
def test_long_wait_is_reported_by_one_process(
    make_run: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    cache: bool,
    what: str,
) -> None:
    monkeypatch.setattr("pytest_ldb.util.progress.FIRST_S", 0.2)
    gate = tmp_path / "gate"
    slow = running(
        f"until [ -e {gate} ]; do sleep 0.05; done; exec redis-server",
        server=replace(FAKE.server, cached=cache),
    )
    runs = [make_run(id="cafe0123") for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        leases = [pool.submit(run.obtain, slow) for run in runs]
        wait_until(
            lambda: any(what in "".join(run.said) for run in runs), 10.0, "the wait is not reported"
        )
        time.sleep(0.5)
        gate.touch()
    assert len({lease.result().container for lease in leases}) == 1
    (line,) = [line for run in runs for line in run.said]
    assert line.startswith(f"fake: {what}, ")


def test_long_wait_is_not_reported_without_a_waiting_test(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_ldb.util.progress.FIRST_S", 0.1)
    server = run.server(running("sleep 0.5; exec redis-server"))
    run.said.clear()
    sharing = replace(run.sharing, is_awaited=lambda: False)
    run.leases.append(sharing.obtain(server))
    assert run.said == []


def test_pending_server_is_listed_until_it_fails(run: Run, tmp_path: Path) -> None:
    gate, ours = tmp_path / "gate", run.sharing
    wait_for_gate = f"until [ -e {gate} ]; do sleep 0.05; done;"
    good, bad = running(f"{wait_for_gate} exec redis-server"), running(f"{wait_for_gate} exit 3")
    bad = replace(bad, name="bad")
    with ThreadPoolExecutor(2) as pool:
        work = [
            pool.submit(ours.obtain, run.server(database_type)) for database_type in (good, bad)
        ]
        wait_until(lambda: set(ours.begun) == {"fake", "bad"}, 10.0, "no server is pending")
        begun = ours.begun["fake"]
        gate.touch()
    run.leases.append(work[0].result())
    assert (begun.instance, begun.origin) == (run.leases[0].instance, "created")
    assert isinstance(work[1].exception(), InstanceDied)
    assert ours.begun == {"fake": begun}
    another = run.sharing
    run.leases.append(another.obtain(run.server(good)))
    assert another.begun == {"fake": PendingServer(begun.instance, "attached", ANY)}


SECRETIVE = {"server": replace(FAKE.server, credential_environment={"SECRET": "{password}"})}


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("delay", ["", "sleep 0.3;"])
def test_crashed_server_reports_the_cause_and_leaves_nothing(
    run: Run, kept: bool, delay: str
) -> None:
    database_type = running(f'{delay} echo "no luck with $SECRET"; exit 3', **SECRETIVE)
    with pytest.raises(InstanceDied) as caught:
        run.obtain(database_type, kept=kept)
    assert caught.value.fact == "the server ended with exit code 3"
    assert caught.value.evidence == "no luck with ********"
    wait_until(lambda: not run.fake.containers({}), GONE_WITHIN_S, "a container is left")


@pytest.mark.parametrize("kept", [True, False])
def test_start_timeout_is_reported_and_leaves_nothing(
    make_run: Callable[..., Run], kept: bool
) -> None:
    run = make_run(timeout_s=0.2)
    with pytest.raises(NotReady) as caught:
        run.obtain(running('echo "waiting with $SECRET"; exec sleep 60', **SECRETIVE), kept=kept)
    assert "fake: the server runs, but was not ready after 0.2 s" in str(caught.value)
    assert caught.value.evidence == "waiting with ********"
    wait_until(lambda: not run.fake.containers({}), GONE_WITHIN_S, "a container is left")


def test_crash_is_raised_in_all_waiting_processes(make_run: Callable[..., Run]) -> None:
    dying = running("sleep 0.5; exit 3")
    runs = [make_run(id="cafe0123") for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(run.obtain, dying) for run in runs]
        for future in futures:
            assert isinstance(future.exception(10.0), InstanceDied)


def test_missing_command_is_an_error_and_leaves_nothing(run: Run) -> None:
    with pytest.raises(EngineFailed, match="its command cannot be run"):
        run.obtain(replace(FAKE, command=("absent",)))
    assert run.fake.containers({}) == []


def test_server_removed_during_start_is_an_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The container exits between opening the shell and the next inspection."""
    open_shell = run.fake.shell

    def vanishing(container: str, **options: Any) -> object:
        shell = open_shell(container, **options)
        run.fake.remove(container)
        return shell

    monkeypatch.setattr(run.fake, "shell", vanishing)
    with pytest.raises(InstanceDied, match="exit code 137"):
        run.obtain()
    assert run.fake.containers({}) == []


def test_shell_failure_in_a_running_server_is_a_shell_error(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(container: str, **_: object) -> None:
        raise ShellLost(container, "no shell")

    run = make_run(timeout_s=0.1)
    monkeypatch.setattr(run.fake, "shell", refused)
    with pytest.raises(ShellLost, match="no shell"):
        run.obtain()
    assert run.fake.containers({}) == []


def test_stopping_predecessor_is_not_in_use(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = make_run(), make_run()
    first = before.obtain(kept=True)
    shell = before.fake.shell

    def ending(container: str, **options: Any) -> object:
        if container == only_id:
            raise ShellLost(container, "it is ending")
        return shell(container, **options)

    only_id = only(before.fake).id
    monkeypatch.setattr(after.fake, "shell", ending)
    assert after.obtain(kept=True, image="fake:2").instance.id != first.instance.id
    assert len(after.fake.containers({})) == 1


def test_an_interrupted_creation_leaves_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    create = run.fake.create

    def interrupted(spec: ContainerSpec) -> str:
        create(spec)
        raise KeyboardInterrupt

    monkeypatch.setattr(run.fake, "create", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.obtain()
    assert run.fake.containers({}) == []


def test_an_interrupted_start_leaves_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(starter, "wait_until_ready", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run.obtain()
    wait_until(lambda: not run.fake.containers({}), GONE_WITHIN_S, "a container is left")


def test_locks_are_per_project_and_type(run: Run) -> None:
    run.obtain()
    assert [path.name for path in run.directory.iterdir()] == ["shop-12345678-fake.lock"]
    assert run.directory.stat().st_mode & 0o077 == 0


def test_process_can_obtain_again_after_release(run: Run) -> None:
    first = run.obtain()
    run.end()
    name = f"ldb-{first.instance.name}"
    wait_until(lambda: run.fake.find(name) is None, GONE_WITHIN_S, "the container still exists")
    assert run.obtain().origin == "created"


def test_numbers_are_unique_and_released(run: Run) -> None:
    one, other = run.obtain(), run.obtain()
    numbers = [databases_on(lease).create("any").database for lease in (one, other)]
    assert numbers == ["0", "1"]
    one.shell.close()
    wait_until(lambda: other.shell.take_number(2) == 0, 5.0, "the number is still taken")


def test_nonempty_number_is_skipped(run: Run) -> None:
    lease = run.obtain()
    lease.shell.run(["mkdir", "-p", "db/1/mine"])
    databases = databases_on(lease)
    numbers = [databases.create("any").database for _ in range(2)]
    assert numbers == ["0", "2"]


def test_exhausted_numbers_are_an_error(run: Run) -> None:
    lease = run.obtain(replace(FAKE, server=replace(FAKE.server, numbered_databases=2)))
    lease.shell.run(["mkdir", "-p", "db/1/mine"])
    databases_on(lease).create("any")
    with pytest.raises(InvalidRequest) as caught:
        databases_on(lease).create("any")
    assert "none of its 2 databases is free" in caught.value.fact
    assert "database 1 is not empty (1 keys)" in caught.value.evidence
    with pytest.raises(InvalidRequest, match="all are in use by processes of pytest-ldb"):
        databases_on(lease).create("any")


def test_missing_client_is_not_reported_as_exhausted_numbers(run: Run) -> None:
    lease = run.obtain(replace(FAKE, operations=Operations(create=("absent-cli",))))
    with pytest.raises(CommandFailed, match="Install `absent-cli` there"):
        databases_on(lease).create("any")


def test_databases_on_a_kept_server_are_dropped_with_their_process(run: Run) -> None:
    named = replace(
        FAKE,
        server=replace(FAKE.server, numbered_databases=0, longest_database_name=10),
        operations=Operations(create=("mkdir", "{database}"), drop=("rmdir", "{database}")),
    )
    staying, leaving = run.obtain(named, kept=True), run.obtain(named, kept=True)
    databases_on(leaving).create("shop")
    assert staying.shell.run(["ls"]) == "shop\n"
    leaving.shell.close()
    wait_until(lambda: staying.shell.run(["ls"]) == "", GONE_WITHIN_S, "the database still exists")
    with pytest.raises(InvalidRequest, match="is 11 bytes long; the limit for fake is 10"):
        databases_on(staying).create("elevenbytes")


def test_databases_are_clones_with_init_scripts(run: Run, tmp_path: Path) -> None:
    script = tmp_path / "fill.sh"
    script.write_text("fill")
    database_type = replace(
        FAKE,
        init_scripts=(script,),
        server=replace(FAKE.server, numbered_databases=0, init_directory="/init"),
        operations=Operations(clone=("cp", "init/fill.sh", "{database}-of-{template}")),
    )
    lease = run.obtain(database_type)
    databases_on(lease).create("copy")
    assert lease.shell.run(["cat", "copy-of-0"]) == "fill"


@pytest.mark.parametrize("kept", [True, False])
def test_nothing_is_sent_to_a_server_without_our_password(
    make_run: Callable[..., Run], fake: FakeEngine, kept: bool
) -> None:
    """Another user of the engine has created a container with our name and labels."""
    server = replace(FAKE.server, credential_environment={"PASSWORD": "{password}"})
    database_type = replace(FAKE, server=server)
    run = make_run()
    request = run.request(database_type, kept=kept)
    run.create(request, environment={"PASSWORD": "theirs"}, auto_remove=False)
    fake.start(request.container).close()
    with pytest.raises(ForeignContainer, match="password that only you can derive"):
        run.obtain(database_type, kept=kept)
    found = fake.find(request.container)
    assert found is not None
    assert found.state == "running", "it is not ours to remove"
    shells = run_beside(fake, found.id, ["sh", "-c", "ls ../home/leases 2>/dev/null; true"])
    assert shells == ""
    fake.remove(found.id)
    assert run.obtain(database_type, kept=kept).origin == "created"
    again = make_run()
    again.id = run.id
    assert again.obtain(database_type, kept=kept).origin == "attached"


def test_kept_server_with_incomplete_labels_does_not_disturb(
    make_run: Callable[..., Run], fake: FakeEngine
) -> None:
    run = make_run()
    labels = resolved(run.request(kept=True), run.image(FAKE.image), IDENTITY).spec.labels
    incomplete = {name: text for name, text in labels.items() if name != f"{LABEL}facts"}
    run.create(run.request(kept=True), name="ldb-other", labels=incomplete)
    run.obtain(kept=True)
    assert fake.find("ldb-other")
