"""Templates that are filled once per server, and copies of them, on the fake engine."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from pytest_ldb.isolation import templates
from pytest_ldb.isolation.databases import databases_on
from pytest_ldb.isolation.factory import DatabaseFactory
from pytest_ldb.isolation.server_databases import ServerDatabases
from pytest_ldb.isolation.setup_call import SetupSkipped
from pytest_ldb.isolation.templates import Templates
from pytest_ldb.lifecycle.external import external_lease
from pytest_ldb.lifecycle.lease import Lease
from pytest_ldb.model.database import Database
from pytest_ldb.model.database_type import DatabaseType, Operations
from pytest_ldb.model.errors import CommandFailed, InvalidRequest, SetupFailed
from pytest_ldb.model.setup import Setup
from pytest_ldb.shell.local import local_shell
from pytest_ldb.testing.fake.engine import FakeEngine
from pytest_ldb.testing.processes import wait_until
from pytest_ldb.testing.servers import Servers

from .conftest import FAKE, kill_group, process_of

pytestmark = pytest.mark.process

FOLDERS = replace(
    FAKE,
    server=replace(FAKE.server, numbered_databases=0),
    operations=Operations(
        create=("mkdir", "{database}"),
        clone=("cp", "-r", "{template}", "{database}"),
        drop=("rm", "-rf", "{database}"),
        load=("cp", "{file}", "{database}"),
        seal=("touch", "{database}/sealed"),
    ),
)
"""A type whose databases are folders."""


@pytest.fixture
def servers(fake: FakeEngine, tmp_path: Path) -> Iterator[Servers]:
    started = Servers(fake, tmp_path)
    yield started
    started.close()


@pytest.fixture
def lease(servers: Servers) -> Lease:
    return servers.obtain(FOLDERS)


@pytest.fixture
def colleague(servers: Servers, lease: Lease) -> Lease:  # noqa: ARG001 - it comes second
    """A second lease on the same server, as of another process."""
    return servers.obtain(FOLDERS)


def obtain(lease: Lease, setup: Setup, run: str = "cafe0123") -> str:
    return Templates(databases_on(lease), run, print).obtain(setup)


def things(lease: Lease, database: str) -> list[str]:
    return lease.shell.run(["ls", database]).split()


def trusted(run: Callable[[Database], object]) -> Setup:
    """Return a setup that may hold a lease."""
    return Setup(run=run, depends_on=[__file__])


def adding(name: str, lease: Lease, log: list[str] | None = None) -> Setup:
    def fill(database: Database) -> None:
        lease.shell.run(["touch", f"{database.database}/{name}"])
        if log is not None:
            log.append(name)

    return trusted(fill)


def test_template_is_filled_once_for_all_processes(lease: Lease, colleague: Lease) -> None:
    log: list[str] = []
    setup = adding("thing", lease, log)
    names = {obtain(lease, setup), obtain(colleague, setup), obtain(lease, setup)}
    assert log == ["thing"]
    (name,) = names
    assert things(lease, name) == ["sealed", "thing"]


def test_only_the_creator_of_a_template_reports_the_duration(
    lease: Lease, colleague: Lease
) -> None:
    setup = Setup(run=lambda _: time.sleep(0.1))
    maker, other = (
        Templates(databases_on(lease), "cafe0123", print),
        Templates(databases_on(colleague), "cafe0123", print),
    )
    for each in (maker, other):
        each.obtain(setup)
    (took_s,) = maker.took_s
    assert 0.1 <= took_s < 5.0
    assert other.took_s == []


def test_another_setup_has_another_template(lease: Lease, tmp_path: Path) -> None:
    (tmp_path / "one").touch()
    (tmp_path / "other").touch()
    one, other = (obtain(lease, Setup(files=[tmp_path / name])) for name in ("one", "other"))
    assert (things(lease, one), things(lease, other)) == (["one", "sealed"], ["other", "sealed"])


def test_files_are_loaded_before_the_function_runs(lease: Lease, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    seen: list[str] = []

    def look(database: Database) -> None:
        seen.extend(things(lease, database.database))

    obtain(lease, Setup(run=look, files=[tmp_path / "file"], depends_on=[__file__]))
    assert seen == ["file"]


def failing(database: Database) -> None:
    raise ValueError(f"migration 7 of {database.database} is wrong")


def test_failing_setup_raises_locally_and_is_explained_in_other_processes(
    lease: Lease, colleague: Lease
) -> None:
    with pytest.raises(ValueError, match="migration 7"):
        obtain(lease, Setup(run=failing))
    for other in (colleague, lease):
        templates = Templates(databases_on(other), "cafe0123", print)
        with pytest.raises(SetupFailed) as caught:
            templates.of(failing)
        assert caught.value.fact == "its setup, ldb_fake_setup, has failed before in this run"
        assert "ValueError: migration 7 of ldb_t_" in caught.value.evidence
        with pytest.raises(SetupFailed, match="has failed before: ValueError: migration 7 of"):
            templates.of(failing)


def test_next_run_retries_a_failed_setup(lease: Lease) -> None:
    for run in ("first", "second"):
        with pytest.raises(ValueError, match="migration 7"):
            obtain(lease, Setup(run=failing), run)


def test_interruption_is_not_masked_by_later_errors(lease: Lease) -> None:
    def interrupted(_: Database) -> None:
        lease.shell.close()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        obtain(lease, trusted(interrupted))


def test_template_of_a_dead_process_is_filled_by_another(
    lease: Lease, colleague: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "PATIENCE_S", 0.0)
    setup, said = adding("thing", colleague), list[str]()
    key = Templates(databases_on(lease), "cafe0123", print)._key(setup)
    assert lease.shell.run(["template_claim", key, "cafe0123"]) == "mine\n"
    databases_on(lease).create_template(f"ldb_t_{key}")
    lease.shell.run(["touch", f"ldb_t_{key}/half"])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(
            Templates(databases_on(colleague), "cafe0123", said.append).obtain, setup
        )
        wait_until(lambda: bool(said), 5.0, "the other process does not wait")
        lease.shell.close()
        name = waiting.result(10.0)
    assert things(colleague, name) == ["sealed", "thing"]
    assert said == ["fake: waiting for the setup in another worker"]


def kill(lease: Lease) -> None:
    """Kill the shell of a lease before it can run its deferred commands."""
    kill_group(process_of(lease.shell))


def test_template_is_refilled_after_its_shell_is_killed(
    lease: Lease, colleague: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "PATIENCE_S", 0.0)
    setup, said = adding("thing", colleague), list[str]()
    key = Templates(databases_on(lease), "cafe0123", print)._key(setup)
    assert lease.shell.run(["template_claim", key, "cafe0123"]) == "mine\n"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(
            Templates(databases_on(colleague), "cafe0123", said.append).obtain, setup
        )
        wait_until(lambda: bool(said), 5.0, "the other process does not wait")
        kill(lease)
        assert things(colleague, waiting.result(10.0)) == ["sealed", "thing"]


def test_number_of_a_killed_shell_is_emptied_before_reuse(servers: Servers) -> None:
    killed, other = (servers.obtain(numbered(1)) for _ in range(2))
    number = databases_on(killed).create("any").database
    killed.shell.run(["mkdir", "-p", f"db/{number}/thing"])
    with pytest.raises(InvalidRequest, match="none of its 1 databases is free"):
        databases_on(other).create("any")
    kill(killed)
    assert databases_on(other).create("any").database == number
    with pytest.raises(CommandFailed):
        things(other, f"db/{number}/thing")


def test_number_skipped_by_a_killed_shell_is_not_emptied(servers: Servers) -> None:
    killed, other = (servers.obtain(numbered(2)) for _ in range(2))
    killed.shell.run(["mkdir", "-p", "db/0/theirs"])
    assert databases_on(killed).create("any").database == "1"
    kill(killed)
    assert databases_on(other).create("any").database == "1"
    assert things(other, "db/0") == ["theirs"]


def test_lease_is_usable_after_an_interrupted_setup(lease: Lease) -> None:
    def interrupted(_: Database) -> None:
        lease.shell.run(["sleep", "0.3"], timeout_s=0.1)

    with pytest.raises(CommandFailed, match="`sleep` did not end in time"):
        obtain(lease, trusted(interrupted))
    with pytest.raises(SetupFailed):
        obtain(lease, trusted(interrupted))
    assert obtain(lease, adding("thing", lease))


def test_slow_setup_is_reported(lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_ldb.util.progress.FIRST_S", 0.05)
    said: list[str] = []
    Templates(databases_on(lease), "cafe0123", said.append).obtain(
        Setup(run=lambda _: time.sleep(0.4))
    )
    assert said == ["fake: ldb_fake_setup runs, 0 s"]


def test_directories_and_compressed_files_are_loaded(lease: Lease, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    for name in ("one", "other.gz"):
        (tmp_path / "files" / name).write_bytes(gzip.compress(b"text"))
    template = obtain(lease, Setup(files=[tmp_path / "files"]))
    assert things(lease, template) == ["one", "other", "sealed"]
    assert lease.shell.run(["cat", f"{template}/other"]) == "text"


def test_failing_file_is_named(servers: Servers, tmp_path: Path) -> None:
    operations = replace(FOLDERS.operations, load=("false", "{file}"))
    lease = servers.obtain(replace(FOLDERS, operations=operations))
    (tmp_path / "wrong.sql").touch()
    with pytest.raises(CommandFailed, match=r"wrong\.sql could not be loaded, `false` ended with"):
        obtain(lease, Setup(files=[tmp_path / "wrong.sql"]))


@pytest.fixture
def server(lease: Lease) -> ServerDatabases:
    return ServerDatabases(databases_on(lease), "cafe0123", "ldb_x", print)


def exists(lease: Lease, database: Database) -> bool:
    return database.database in things(lease, ".")


def test_database_of_the_process_is_new_each_time(
    lease: Lease, server: ServerDatabases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lease, "keep", lambda _: None)  # The server would outlive the test.
    setup = adding("thing", lease)
    first = server.shared(None)
    second = server.shared(setup)
    assert (exists(lease, first), things(lease, second.database)) == (False, ["sealed", "thing"])
    server.keep(second)
    third = server.shared(setup)
    assert len({first.database, second.database, third.database}) == 3
    assert exists(lease, second)
    assert things(lease, third.database) == ["sealed", "thing"]


def test_database_of_the_environment_is_filled_again(lease: Lease, server: ServerDatabases) -> None:
    def put(name: str) -> None:
        lease.shell.run(["touch", f"{early.database}/{name}"])

    early, setup = server.make_early(), adding("thing", lease)
    put("written at import")
    assert server.shared(None) == early
    assert things(lease, early.database) == ["written", "at", "import"]
    for given, left in ((None, []), (setup, ["sealed", "thing"]), (None, [])):
        put("left")
        assert server.shared(given) == early
        assert things(lease, early.database) == left


@pytest.mark.parametrize("_", range(3))
def test_concurrent_requests_get_the_same_template(servers: Servers, _: int) -> None:
    leases = [servers.obtain(FOLDERS) for _ in range(4)]
    log: list[str] = []
    setup = adding("thing", leases[0], log)
    with ThreadPoolExecutor(4) as pool:
        names = set(pool.map(lambda lease: obtain(lease, setup), leases))
    assert (len(names), log) == (1, ["thing"])


def test_external_server_is_left_unchanged(tmp_path: Path) -> None:
    databases = tmp_path / "databases"
    databases.mkdir()
    database_type = replace(
        FOLDERS,
        operations=Operations(
            create=("mkdir", f"{databases}/{{database}}"),
            clone=("cp", "-r", f"{databases}/{{template}}", f"{databases}/{{database}}"),
            drop=("rm", "-rf", f"{databases}/{{database}}"),
        ),
    )
    lease = external_lease(
        *(database_type, "redis://db"),
        lambda subject, environment: local_shell(
            subject, home=str(tmp_path / "home"), environment=environment
        ),
    )

    def fill(database: Database) -> None:
        (databases / database.database / "thing").touch()

    template = obtain(lease, Setup(run=fill))
    databases_on(lease).create("ldb_x", template)
    assert (databases / "ldb_x" / "thing").exists()
    lease.shell.close()
    wait_until(lambda: not list(databases.iterdir()), 5.0, "a database is left")
    ready = tmp_path / "home" / "templates"
    wait_until(lambda: not list(ready.glob("*.ready")), 5.0, "the template is still registered")


def test_type_without_load_is_an_error(servers: Servers, tmp_path: Path) -> None:
    lease = servers.obtain(replace(FOLDERS, operations=replace(FOLDERS.operations, load=())))
    (tmp_path / "file").touch()
    with pytest.raises(InvalidRequest, match="file cannot be loaded: this database type does not"):
        obtain(lease, Setup(files=[tmp_path / "file"]))


def test_each_test_gets_a_copy(lease: Lease) -> None:
    databases = DatabaseFactory(databases_on(lease), "ldb_x", obtain(lease, adding("thing", lease)))
    first, second = databases.make(), databases.make()
    assert (first.database, second.database) == ("ldb_x_0", "ldb_x_1")
    assert things(lease, "ldb_x_0") == things(lease, "ldb_x_1") == ["sealed", "thing"]
    databases.put_back(first)
    with pytest.raises(CommandFailed):
        things(lease, "ldb_x_0")
    assert databases.make().database == "ldb_x_2"


def numbered(count: int = 4) -> DatabaseType:
    clone = ("sh", "-c", 'cp -rT "db/$1" "db/$2"', "sh", "{template}", "{database}")
    return replace(
        FAKE,
        server=replace(FAKE.server, numbered_databases=count),
        operations=replace(FAKE.operations, clone=clone),
    )


def test_numbers_are_reused_except_those_of_templates(servers: Servers) -> None:
    lease = servers.obtain(numbered())

    def fill(database: Database) -> None:
        lease.shell.run(["mkdir", "-p", f"db/{database.database}/thing"])

    template = obtain(lease, trusted(fill))
    databases = DatabaseFactory(databases_on(lease), "any", template)
    for _ in range(8):
        one, other = databases.make(), databases.make()
        assert (template, {one.database, other.database}) == ("0", {"1", "2"})
        assert things(lease, f"db/{one.database}") == ["thing"]
        databases.put_back(one)
        databases.put_back(other)


def test_template_number_stays_taken_after_its_creator_exits(
    servers: Servers,
) -> None:
    leaving, staying = servers.obtain(numbered()), servers.obtain(numbered())
    assert databases_on(leaving).create_template("any").database == "0"
    assert databases_on(leaving).create("any").database == "1"
    leaving.shell.close()
    wait_until(lambda: staying.shell.take_number(4) == 1, 5.0, "the number is still taken")


def test_dropped_databases_are_not_dropped_again_on_kept_servers(
    servers: Servers, lease: Lease
) -> None:
    kept = replace(lease, outlives_run=True)
    databases = DatabaseFactory(databases_on(kept), "ldb_x", None)
    first, second = databases.make(), databases.make()
    databases.put_back(first)
    staying = servers.obtain(FOLDERS)
    staying.shell.run(["mkdir", first.database])  # Now another process has a database of this name.
    kept.shell.close()
    wait_until(
        lambda: second.database not in things(staying, "."), 5.0, "the database is still there"
    )
    assert first.database in things(staying, ".")


THREADS: list[str] = []
VALUE: ContextVar[str] = ContextVar("VALUE", default="")


async def fill_asynchronously(_: Database) -> None:
    await asyncio.sleep(0)
    THREADS.append(VALUE.get())


def run_a_loop(database: Database) -> None:
    asyncio.run(fill_asynchronously(database))


@pytest.mark.parametrize(
    "run", [fill_asynchronously, run_a_loop, partial(fill_asynchronously), partial(run_a_loop)]
)
def test_setup_is_awaited_and_no_event_loop_disturbs_it(
    lease: Lease, run: Callable[[Database], object]
) -> None:
    async def main() -> None:
        VALUE.set("seen")
        obtain(lease, Setup(run=run))

    THREADS.clear()
    asyncio.run(main())
    assert THREADS == ["seen"]


def generator(_: Database) -> Iterator[None]:
    yield


async def async_generator(_: Database) -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize("run", [generator, async_generator, partial(generator)])
def test_generator_as_a_setup_is_an_error(lease: Lease, run: Callable[[Database], object]) -> None:
    with pytest.raises(InvalidRequest, match="is a generator function, which does nothing when"):
        obtain(lease, Setup(run=run))


def leaving(_: Database) -> None:
    raise SystemExit(3)


def test_setup_that_ends_the_process_fails(lease: Lease) -> None:
    templates = Templates(databases_on(lease), "cafe0123", print)
    with pytest.raises(SetupFailed, match="ldb_fake_setup, ended the process") as caught:
        templates.of(leaving)
    assert caught.value.evidence == "SystemExit: 3"
    with pytest.raises(SetupFailed, match="ldb_fake_setup, has failed before: SystemExit: 3"):
        templates.of(leaving)


def skipping(_: Database) -> None:
    raise KeyError("no data")


def test_skipping_setup_skips_in_all_processes(lease: Lease, colleague: Lease) -> None:
    for each in (lease, lease, colleague):
        templates = Templates(databases_on(each), "cafe0123", print, skips=(KeyError,))
        for _ in range(2):
            with pytest.raises(SetupSkipped, match="no data"):
                templates.of(skipping)


def test_failed_setup_is_told_in_a_line_afterwards(lease: Lease) -> None:
    templates = Templates(databases_on(lease), "cafe0123", print)
    with pytest.raises(ValueError, match="migration 7"):
        templates.of(failing)
    for _ in range(2):
        with pytest.raises(SetupFailed) as caught:
            templates.of(failing)
        assert caught.value.fact.startswith(
            "its setup, ldb_fake_setup, has failed before: ValueError: migration 7 of ldb_t_"
        )
        assert not caught.value.evidence
