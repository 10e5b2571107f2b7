"""Named and numbered databases on a server of the fake engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_ldb.isolation.databases import NamedDatabases, NumberedDatabases, databases_on
from pytest_ldb.isolation.factory import LOOK_AFTER, DatabaseFactory
from pytest_ldb.lifecycle.lease import Lease
from pytest_ldb.model.database_type import ClientProgram, Operations, Reset
from pytest_ldb.model.errors import CommandFailed
from pytest_ldb.testing.fake.engine import FakeEngine
from pytest_ldb.testing.processes import wait_until
from pytest_ldb.testing.servers import Servers

from .conftest import FAKE

pytestmark = pytest.mark.process

FOLDERS = replace(
    FAKE,
    server=replace(FAKE.server, numbered_databases=0),
    operations=Operations(
        create=("mkdir", "{database}"),
        clone=("cp", "-r", "{template}", "{database}"),
        drop=("rm", "-rf", "{database}"),
    ),
)
"""A type whose databases are folders."""

NUMBERED = replace(
    FAKE,
    server=replace(FAKE.server, numbered_databases=4),
    operations=Operations(
        create=("mkdir", "{database}"),
        drop=("sh", "-c", 'rm -rf "$1"/*', "sh", "{database}"),
    ),
)
"""A type whose databases are numbered folders."""


CLIENT = ClientProgram(argv=("sh",), mark="echo {mark}")


@pytest.fixture
def servers(fake: FakeEngine, tmp_path: Path) -> Iterator[Servers]:
    started = Servers(fake, tmp_path)
    yield started
    started.close()


def things(lease: Lease, database: str = ".") -> set[str]:
    return set(lease.shell.run(["ls", database]).split())


def test_type_declares_named_or_numbered_databases(servers: Servers) -> None:
    assert isinstance(databases_on(servers.obtain(FOLDERS)), NamedDatabases)
    assert isinstance(databases_on(servers.obtain(NUMBERED)), NumberedDatabases)


def test_snapshot_is_dropped_with_its_database(servers: Servers) -> None:
    lease = servers.obtain(FOLDERS)
    databases = databases_on(lease)
    database = databases.create("shop")
    lease.shell.run(["mkdir", "shop/early"])
    snapshot = database.snapshot()
    lease.shell.run(["mkdir", "shop/late"])
    database.restore(snapshot)
    assert things(lease, "shop") == {"early"}
    assert things(lease) >= {"shop", "shop_s0"}
    databases.drop(database)
    assert not things(lease) & {"shop", "shop_s0"}


@pytest.mark.parametrize("database_type", [FOLDERS, NUMBERED], ids=["named", "numbered"])
def test_kept_database_outlives_its_process(servers: Servers, database_type: Any) -> None:
    staying, leaving = (
        servers.obtain(database_type),
        replace(servers.obtain(database_type), outlives_run=True),
    )
    databases = databases_on(leaving)
    kept, dropped = databases.create("kept"), databases.create("dropped")
    for database in (kept, dropped):
        leaving.shell.run(["mkdir", f"{database.database}/thing"])
    databases.keep(kept)
    leaving.close()
    wait_until(
        lambda: (
            "thing" not in staying.shell.run(["ls", "-R"]).partition(f"/{dropped.database}:")[2]
        ),
        5.0,
        "the other database is still there",
    )
    assert things(staying, kept.database) == {"thing"}


def test_number_is_kept_on_a_server_of_the_run(servers: Servers) -> None:
    leaving, staying = servers.obtain(NUMBERED), servers.obtain(NUMBERED)
    databases = databases_on(leaving)
    database = databases.create("any")
    leaving.shell.run(["mkdir", f"{database.database}/thing"])
    databases.keep(database)
    leaving.close()
    wait_until(lambda: staying.shell.take_number(1) == 0, 5.0, "the number is still taken")
    assert things(staying, database.database) == {"thing"}


def test_additional_databases_are_dropped_with_their_process(servers: Servers) -> None:
    staying = servers.obtain(FOLDERS)
    leaving = replace(servers.obtain(FOLDERS), outlives_run=True)
    assert databases_on(leaving).also_drop(["test_shop"]) == ["test_shop"]
    staying.shell.run(["mkdir", "test_shop"])
    leaving.close()
    wait_until(lambda: "test_shop" not in things(staying), 5.0, "the database still exists")
    assert databases_on(servers.obtain(NUMBERED)).also_drop(["test_1"]) == ()


OPERATIONS = Operations(
    create="mkdir {database}", clone="cp -r {template} {database}", drop="rm -rf {database}"
)

INSPECT = "cd {database}; echo database\\\\t; grep -H . * | sed 's/:/\t/'; cd .."

REPAIR = "cp {template}/{thing} {database}/{thing}"

WRITES = "wc {database}/writes | sed 's/^/file\t/'"


class Copies:
    """Copies of a template, a folder that holds a file."""

    def __init__(self, servers: Servers, inspect: str, writes: str = "") -> None:
        reset = Reset(inspect=inspect, repair=REPAIR, writes=writes)
        database_type = replace(FOLDERS, client=CLIENT, operations=OPERATIONS, reset=reset)
        self.lease = servers.obtain(database_type)
        databases = databases_on(self.lease)
        template = databases.create_template("template").database
        self.run("echo fresh >template/file")
        self.factory = DatabaseFactory(databases, "copy", template)

    def run(self, line: str) -> str:
        return self.lease.shell.run(["sh", "-c", f'cd "$LDB_HOME" && {line}'])


@pytest.mark.parametrize(
    "inspect", ["inspekt {database}", "echo no tab", "true", f"{INSPECT}; inspekt", "exit"]
)
def test_copy_that_cannot_be_inspected_is_dropped_after_use(servers: Servers, inspect: str) -> None:
    copies = Copies(servers, inspect)
    database = copies.factory.make()
    assert copies.run("cat copy_0/file") == "fresh\n"
    assert not copies.factory.put_back(database)
    assert copies.run("ls -d copy* || true").startswith("ls: ")


def test_initial_database_is_closed_while_it_is_copied(servers: Servers, tmp_path: Path) -> None:
    """It is open again when the process has ended, on a server that stays."""
    operations = replace(
        OPERATIONS, seal="touch {database}/sealed", unseal='rm "$LDB_HOME/{database}/sealed"'
    )
    database_type = replace(FOLDERS, client=CLIENT, operations=operations)
    staying = servers.obtain(database_type)
    script = tmp_path / "fill.sh"
    script.touch()
    filled = replace(
        database_type,
        init_scripts=(script,),
        server=replace(database_type.server, init_directory="/init", initial_database="first"),
    )
    lease = replace(servers.obtain(database_type), database_type=filled, outlives_run=True)
    folder = 'cd "$LDB_HOME" && '
    lease.shell.run(["sh", "-c", f"{folder}mkdir first"])
    databases_on(lease).create("one")
    assert lease.shell.run(["sh", "-c", f"{folder}ls one"]) == "sealed\n"
    lease.close()
    seen = ["sh", "-c", f"{folder}ls first"]
    wait_until(lambda: staying.shell.run(seen) == "", 5.0, "it is still sealed")


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ("true", True),
        ("echo used >file", True),
        ("rm file", False),
        ("echo more >another", False),
        ("rm file; mkdir file; touch file/inside", False),
        ("cd ..; rm -r copy_0", False),
    ],
)
def test_used_copy_is_reset_or_dropped(servers: Servers, change: str, again: bool) -> None:
    copies = Copies(servers, INSPECT)
    database = copies.factory.make()
    copies.run(f"cd copy_0; {change}")
    assert copies.factory.put_back(database) is again
    assert copies.run("cat copy_0/file || true").startswith("fresh" if again else "cat: ")


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ("true", True),
        ("echo used >file; echo 1 >>writes", True),
        # As if its content were not all that a test can see.
        ("echo 1 >>writes", True),
        ("echo more >another; echo 1 >>writes", False),
        ("rm writes", False),
    ],
)
def test_things_that_were_written_to_are_repaired(
    servers: Servers, change: str, again: bool
) -> None:
    copies = Copies(servers, INSPECT.replace(" *", " [a-v]*"), WRITES)
    copies.run("touch template/writes")
    database = copies.factory.make()
    for _ in range(2 if again else 1):
        copies.run(f"cd copy_0; touch -d @0 file; {change}")
        assert copies.factory.put_back(database) is again
        if again:
            repaired = copies.run("find copy_0/file -newermt @1").strip()
            assert repaired == ("" if change == "true" else "copy_0/file")


class Full:
    """A lease on a server with the given fraction of its space used."""

    def __init__(self, *taken: float) -> None:
        self.taken = list(taken)

    @property
    def lease(self) -> Full:
        return self

    def space_taken(self) -> float:
        return self.taken.pop(0)


def test_disk_usage_is_checked_rarely_while_low() -> None:
    full: Any = Full(0.1, 0.3, 0.6, 0.4)
    factory = DatabaseFactory(full, "any", None)
    assert [factory.is_short() for _ in range(LOOK_AFTER)] == [False] * LOOK_AFTER
    assert [factory.is_short() for _ in range(3)] == [False, True, False]


class Disk:
    """A shell with a fake `df`; with None, `df` fails."""

    def __init__(self, said: str | None) -> None:
        self.said = said
        self.closed = 0

    def run(self, argv: Sequence[str]) -> str:
        if self.said is None:
            raise CommandFailed("fake", "`df` ended with status 127")
        return f"Filesystem 1024-blocks Used Available Capacity Mounted on\n{self.said}"

    def close(self) -> None:
        self.closed += 1


def lease_with(shell: Any, **more: Any) -> Lease:
    more = {"data_paths": ("/data",), "database_type": FAKE, **more}
    fixed: dict[str, Any] = {"instance": None, "values": {}, "origin": "", "fingerprint": ""}
    return Lease(shell=shell, outlives_run=False, **fixed, **more)


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("tmpfs 1000 250 750 25% /data", 0.25),
        ("tmpfs 1000 250 750 25% /data\ntmpfs 1000 500 500 50% /more", 0.5),
        ("overlay - - - - /data", 0.0),
        ("tmpfs 0 0 0 0% /data", 0.0),
        ("tmpfs", 0.0),
        ("", 0.0),
        (None, 0.0),
    ],
)
def test_used_space_comes_from_df(said: str | None, taken: float) -> None:
    assert lease_with(Disk(said)).space_taken() == taken


def test_container_memory_limits_the_space() -> None:
    limited = replace(FAKE, memory_mib=1)
    disk = Disk("tmpfs 8192 512 7680 7% /data")
    assert lease_with(disk, database_type=limited).space_taken() == 0.5


def test_closing_a_lease_closes_shell_and_watch() -> None:
    shell, watch = Disk(""), Disk("")
    lease_with(shell, watch=watch).close()
    lease_with(shell).close()
    assert (shell.closed, watch.closed) == (2, 1)
