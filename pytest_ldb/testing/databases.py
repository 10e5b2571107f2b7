"""The tests that every database type must pass, on a real engine."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ..engines.protocol import Engine
from ..isolation.databases import Databases, databases_on
from ..isolation.factory import DatabaseFactory
from ..isolation.loading import load
from ..lifecycle.lease import Lease
from ..model.database import Database
from ..model.database_type import DatabaseType
from ..model.errors import CommandFailed, InstanceDied, InvalidRequest
from ..model.instance import Credentials, InstanceStatus
from .servers import Servers

IDLE_MIB = 150


class DatabaseTypeContract:
    """Tests that every :class:`~pytest_ldb.DatabaseType` must pass.

    A test class for a custom database type::

        class TestMyDatabase(DatabaseTypeContract):
            database_type = MY_DATABASE
            script = ("fill.sql", "CREATE TABLE filled (x int)")

            def add(self, database, name):
                ...  # connect with a common driver, create a table, a collection or a key

            def things(self, database):
                ...  # connect with a common driver, return the names of all of them

    Attributes:
        database_type: The database type to test.
        script: Name and content of a script that creates ``filled``, for ``load`` and as an init
            script; None if the type supports neither.
        refused: The exceptions that the driver raises for a wrong password.
    """

    database_type: DatabaseType
    script: tuple[str, str] | None = None
    refused: type[Exception] | tuple[type[Exception], ...] = Exception

    def add(self, database: Database, name: str) -> None:
        """Connect with a common driver and create a table, a collection or a key with this name."""
        raise NotImplementedError

    def things(self, database: Database) -> set[str]:
        """Connect with a common driver and return the names of all tables, collections or keys."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def make_engine(cls) -> Callable[[], Engine]:
        """Return a callable that creates the engine."""
        from ..engines.docker.engine import DockerEngine

        return DockerEngine

    @pytest.fixture(scope="class")
    @classmethod
    def servers(
        cls, make_engine: Callable[[], Engine], tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Servers]:
        """Starts servers."""
        started = Servers(make_engine(), tmp_path_factory.mktemp("databases"))
        yield started
        started.close()

    @pytest.fixture(scope="class")
    @classmethod
    def lease(cls, servers: Servers) -> Lease:
        """A lease on a server, as the fixtures of a run share it."""
        return servers.obtain(cls.database_type)

    @pytest.fixture(scope="class")
    @classmethod
    def databases(cls, lease: Lease) -> Databases:
        """The databases of this process on that server."""
        return databases_on(lease)

    @pytest.fixture(scope="class")
    @classmethod
    def durable(cls, servers: Servers) -> Lease:
        """A lease on a server with data on disk, filled by the init script if there is one."""
        return servers.obtain(cls._filled(servers.directory), durable=True)

    @pytest.fixture
    def name(self) -> str:
        """A name for a database, a table, a collection or a key."""
        return f"ldb_{uuid.uuid4().hex[:12]}"

    def test_databases_are_empty_and_separate(self, databases: Databases, name: str) -> None:
        one, other = databases.create(name), databases.create(f"{name}_other")
        assert self.things(one) == set()
        self.add(one, "thing")
        assert self.things(one) == {"thing"}
        assert self.things(other) == set()

    def test_initial_database_is_assigned_once(self, servers: Servers, name: str) -> None:
        other = Servers(servers.engine, servers.directory, run=name.replace("_", "-"))
        try:
            leases = [other.obtain(self.database_type) for _ in range(2)]
            first, second = [databases_on(lease).initial() for lease in leases]
            assert second is None
            if first is None:
                pytest.skip("its initial database is not handed out")
            assert self.things(first) == set()
            self.add(first, "thing")
            assert self.things(first) == {"thing"}
        finally:
            other.close()

    def test_dropped_database_is_empty_or_absent(self, databases: Databases, name: str) -> None:
        database = databases.create(name)
        self.add(database, "thing")
        databases.lease.commands.run(self.database_type.operations.drop, database.database)
        assert self._left(database) == set()

    def test_dropping_a_missing_database_is_no_error(self, databases: Databases) -> None:
        absent = str(
            self.database_type.server.numbered_databases - 1 if self._numbered else "ldb_absent"
        )
        databases.lease.commands.run(self.database_type.operations.drop, absent)

    def test_name_of_maximum_length_is_accepted(self, databases: Databases) -> None:
        if self._numbered:
            pytest.skip("its databases have numbers, not names")
        longest = self.database_type.server.longest_database_name
        database = databases.create("l" * longest)
        self.add(database, "thing")
        assert self.things(database) == {"thing"}
        with pytest.raises(InvalidRequest, match=f"{longest + 1} bytes"):
            databases.create("l" * (longest + 1))

    def test_wrong_password_is_refused(self, databases: Databases, name: str) -> None:
        database = databases.create(name)
        wrong = replace(database.instance, credentials=Credentials(database.user, "wrong"))
        with pytest.raises(self.refused):
            self.things(replace(database, instance=wrong))

    def test_all_processes_attach_to_the_same_server(self, servers: Servers, lease: Lease) -> None:
        attached = servers.obtain(self.database_type)
        assert attached.origin == "attached"
        assert attached.instance == lease.instance
        assert attached.shell.others > 0

    def test_init_scripts_fill_every_database(self, durable: Lease, name: str) -> None:
        if not durable.database_type.init_scripts:
            pytest.skip("it runs no init scripts")
        databases = databases_on(durable)
        one, other = databases.create(name), databases.create(f"{name}_other")
        self.add(one, "thing")
        assert self.things(one) == {"filled", "thing"}
        assert self.things(other) == {"filled"}

    @pytest.mark.parametrize("storage", ["lease", "durable"])
    def test_template_can_be_copied_repeatedly(
        self, request: pytest.FixtureRequest, storage: str, name: str
    ) -> None:
        databases = databases_on(request.getfixturevalue(storage))
        template = databases.create_template(f"{name}_t")
        before = self.things(template)
        self.add(template, "thing")
        databases.seal(template)
        one, other = (
            databases.create(f"{name}_{number}", template.database) for number in range(2)
        )
        self.add(one, "more")
        assert self.things(one) == {*before, "thing", "more"}
        assert self.things(other) == {*before, "thing"}

    def test_snapshot_can_be_restored_repeatedly(self, databases: Databases, name: str) -> None:
        database = databases.create(name)
        self.add(database, "early")
        snapshot = database.snapshot()
        for _ in range(2):
            self.add(database, "late")
            assert self.things(database) == {"early", "late"}
            database.restore(snapshot)
            assert self.things(database) == {"early"}
        self.add(database, "latest")
        later = database.snapshot()
        database.restore(snapshot)
        assert self.things(database) == {"early"}
        database.restore(later)
        assert self.things(database) == {"early", "latest"}
        databases.drop(database)

    def test_incomplete_template_of_a_dead_process_is_dropped(
        self, databases: Databases, name: str
    ) -> None:
        self.add(databases.create_template(f"{name}_t"), "half")
        assert self.things(databases.create_template(f"{name}_t")) == set()

    def test_script_is_loaded_into_a_database(
        self, databases: Databases, name: str, tmp_path: Path
    ) -> None:
        if self.script is None or not self.database_type.operations.load:
            pytest.skip("it loads no scripts")
        file = tmp_path / f"it's {self.script[0]}"
        file.write_text(self.script[1])
        database = databases.create_template(name)
        load(databases.lease, database, file)
        assert self.things(database) == {"filled"}

    def test_failing_script_is_an_error(
        self, databases: Databases, name: str, tmp_path: Path
    ) -> None:
        if self.script is None or not self.database_type.operations.load:
            pytest.skip("it loads no scripts")
        file = tmp_path / self.script[0]
        file.write_text("this is ( no statement;\n")
        with pytest.raises(CommandFailed):
            load(databases.lease, databases.create_template(name), file)

    def test_tests_do_not_see_each_others_data(self, databases: Databases, name: str) -> None:
        source = DatabaseFactory(databases, name, None)
        for _ in range(3):
            database = source.make()
            assert self.things(database) == set()
            self.add(database, "thing")
            source.put_back(database)

    def test_used_database_is_reset_or_dropped(self, databases: Databases, name: str) -> None:
        template = databases.create_template(f"{name}_t")
        self.add(template, "thing")
        databases.seal(template)
        source = DatabaseFactory(databases, name, template.database)
        for _ in range(3):
            database = source.make()
            assert self.things(database) == {"thing"}
            self.add(database, f"more_{uuid.uuid4().hex[:8]}")
            while source.put_back(database):
                assert self.things(database) == {"thing"}
                self.add(database, f"more_{uuid.uuid4().hex[:8]}")
            assert self._left(database) == set()

    def test_data_is_in_memory_unless_durable(self, lease: Lease, durable: Lease) -> None:
        if not lease.data_paths:
            pytest.skip("it has no data path, neither a volume nor one of data_paths")
        assert 0.0 <= lease.space_taken() < 0.5
        assert durable.space_taken() == 0.0
        for volume in lease.data_paths:
            command = ["stat", "-f", "-c", "%T", volume]
            assert lease.shell.run(command).strip() == "tmpfs"
            assert durable.shell.run(command).strip() != "tmpfs"

    def test_failed_start_reports_the_cause(self, servers: Servers) -> None:
        broken = replace(
            self.database_type,
            command=(*self.database_type.command, "--ldb-no-such-option"),
        )
        planned = Servers(servers.engine, servers.directory)
        with pytest.raises(InstanceDied) as caught:
            planned.obtain(broken)
        assert "ldb-no-such-option" in caught.value.evidence

    def test_standalone_server_lifecycle(self, servers: Servers) -> None:
        lifecycle = servers.lifecycle(self.database_type)
        try:
            instance = lifecycle.create(self.database_type)
            assert self.things(lifecycle.database(instance)) == set()
            self.add(lifecycle.database(instance), "thing")
            stopped = lifecycle.stop(instance)
            assert (stopped.status, stopped.address) == (InstanceStatus.STOPPED, None)
            again = lifecycle.start(stopped)
            assert self.things(lifecycle.database(again)) == {"thing"}
        finally:
            lifecycle.close()
        assert servers.engine.find(f"ldb-{instance.name}") is None

    def test_idle_server_uses_little_memory(self, lease: Lease) -> None:
        if not lease.data_paths:
            pytest.skip("it has no data path, neither a volume nor one of data_paths")
        for volume in lease.data_paths:
            used = lease.shell.run(["df", "-m", volume]).splitlines()[-1].split()[2]
            assert int(used) < IDLE_MIB

    def test_server_from_cache_equals_a_new_server(
        self, make_engine: Callable[[], Engine], tmp_path: Path, name: str
    ) -> None:
        machine = Servers(make_engine(), tmp_path, cache="always")
        database_type = self._filled(tmp_path)
        try:
            assert machine.obtain(database_type).origin == "created"
            machine.close()
            machine.run = uuid.uuid4().hex[:8]
            lease = machine.obtain(database_type)
            assert lease.origin == ("restored" if database_type.server.cached else "created")
            database = databases_on(lease).create(name)
            assert self.things(database) == ({"filled"} if database_type.init_scripts else set())
            self.add(database, "thing")
        finally:
            machine.close()
            machine.forget_cache()

    def _left(self, database: Database) -> set[str]:
        """Return the content of a dropped database; drivers may refuse to connect to it."""
        try:
            return self.things(database)
        except self.refused:
            return set()

    @property
    def _numbered(self) -> bool:
        return self.database_type.server.numbered_databases > 0

    @classmethod
    def _filled(cls, directory: Path) -> DatabaseType:
        if cls.script is None or not cls.database_type.server.init_directory:
            return cls.database_type
        name, text = cls.script
        script = directory / name
        script.write_text(text)
        return replace(cls.database_type, init_scripts=(script,))
