"""Every built-in database type fulfils its contract, with common drivers."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import psycopg
import pymongo
import pymongo.errors
import pymysql
import pytest
import redis
import sqlalchemy
import sqlalchemy.exc
from bson import Code, Decimal128, Int64, Regex

from pytest_ldb import MONGODB, MYSQL, POSTGRES, REDIS, Database
from pytest_ldb.isolation.databases import Databases, databases_on
from pytest_ldb.isolation.factory import DatabaseFactory
from pytest_ldb.lifecycle.lease import Lease
from pytest_ldb.model.database_type import render
from pytest_ldb.model.errors import CommandFailed
from pytest_ldb.testing import DatabaseTypeContract
from pytest_ldb.testing.servers import Servers

from .contents import (
    MongoContent,
    MySqlContent,
    PostgresContent,
    RedisContent,
    mongodb_reading,
    mysql_reading,
)

GOODS = """
CREATE TABLE goods (
  id int AUTO_INCREMENT PRIMARY KEY, name varchar(20), price decimal(6, 2), seen json, data blob
);
CREATE TABLE orders (
  id int AUTO_INCREMENT PRIMARY KEY, goods int, FOREIGN KEY (goods) REFERENCES goods (id)
);
CREATE TABLE nothing (id int AUTO_INCREMENT PRIMARY KEY);
CREATE VIEW cheap AS SELECT name FROM goods WHERE price < 3;
INSERT INTO goods (name, price, seen, data) VALUES
  ('hat', 4, '[1]', x'00ff27'), ('shoe', 6, NULL, NULL), ('', 7.5, '{"a": "it''s"}', '');
INSERT INTO orders (goods) VALUES (1), (1), (3)
"""

ODD_TABLES = r"""
CREATE PROCEDURE early(x varchar(9)) SELECT 1;
ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_bin;
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
CREATE TABLE numbers (id int AUTO_INCREMENT PRIMARY KEY, f float, d double, r float(9, 2));
INSERT INTO numbers VALUES (0, 16777200, 1.7e308, 3.14), (1, -0e0, 0.1e0 + 0.2e0, 2), (9, 3, 4, 5);
CREATE TABLE `it's` (a int, b bit(5), e enum('a', ''), s set('x', 'y'), `{database}` int);
INSERT INTO `it's` VALUES (2, b'101', 1, 'x,y', 3), (1, b'0', 2, '', NULL);
CREATE TABLE `we``ird {thing}` (`a``b` int, `c\d'` int);
INSERT INTO `we``ird {thing}` VALUES (1, 2);
CREATE TABLE `back\slash	tab` (a int);
INSERT INTO `back\slash	tab` VALUES (1);
CREATE TABLE `--größe 日本` (a varchar(20) character set utf8mb4, b longtext, c longblob, j json,
  g geometry, t timestamp(6), y year, o time(3));
INSERT INTO `--größe 日本` VALUES ('日本 x', REPEAT('x', 70000), x'00ff275c0a0d', '{"a": 1.10}',
  ST_GeomFromText('POINT(1 2)', 4326), '2020-10-25 00:30:00.123456', 1999, '-12:00:00.123');
CREATE TABLE made (a int, b int AS (a + 1) STORED, c int AS (a * 2), d int INVISIBLE DEFAULT 5);
INSERT INTO made (a, d) VALUES (1, 9);
CREATE TABLE plain (a int) ENGINE=MyISAM;
INSERT INTO plain VALUES (2), (1);
CREATE FUNCTION answer(x int) RETURNS int DETERMINISTIC RETURN x;
CREATE VIEW seen AS SELECT id, answer(id) AS x FROM numbers;
CREATE VIEW `seen'again` AS SELECT * FROM seen;
CREATE TRIGGER more BEFORE INSERT ON made FOR EACH ROW SET NEW.a = 1 + NEW.a;
CREATE DEFINER=`ghost`@`%` PROCEDURE asked(IN a int) SELECT 1;
CREATE EVENT never ON SCHEDULE EVERY 1 YEAR STARTS '2040-01-01 00:00:00' DO SELECT 1
"""


class TestPostgres(PostgresContent, DatabaseTypeContract):
    database_type = POSTGRES
    script = ("fill.sql", "CREATE TABLE filled (x int)")
    refused = psycopg.OperationalError

    def add(self, database: Database, name: str) -> None:
        with psycopg.connect(database.url) as connection:
            connection.execute(f"CREATE TABLE {name} (x int)".encode())

    def things(self, database: Database) -> set[str]:
        with psycopg.connect(database.url) as connection:
            query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            return {row[0] for row in connection.execute(query)}

    def test_libpq_keywords_connect(self, databases: Databases, name: str) -> None:
        keywords = databases.create(name).connect_args("psycopg")
        with psycopg.connect(**keywords) as connection:
            assert connection.info.dbname == name

    def test_sqlalchemy_connects(self, databases: Databases, name: str) -> None:
        url = databases.create(name).sqlalchemy_url("psycopg")
        assert _selected(url, "SELECT current_database()") == name

    def test_environment_variables_connect_client_programs(
        self, databases: Databases, name: str
    ) -> None:
        program = "import psycopg; print(psycopg.connect().info.dbname)"
        database = databases.create(name)
        assert _printed(program, database.env) == name

    def test_database_with_an_open_transaction_can_be_dropped(
        self, databases: Databases, name: str
    ) -> None:
        database = databases.create(name)
        self.add(database, "thing")
        connection = psycopg.connect(database.url)
        connection.execute("SELECT * FROM thing")
        databases.drop(database)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        connection.close()

    def test_server_settings_are_applied(self, databases: Databases, name: str) -> None:
        settings = [pair.split("=") for pair in POSTGRES.server.tuning if pair != "-c"]
        with psycopg.connect(databases.create(name).url) as connection:
            for setting, value in settings:
                assert connection.execute(f"SHOW {setting}".encode()).fetchone() == (value,)

    def test_snapshot_and_restore_close_connections(self, databases: Databases, name: str) -> None:
        database = databases.create(name)
        self.add(database, "thing")
        idle, busy = psycopg.connect(database.url), psycopg.connect(database.url)
        busy.execute("LOCK TABLE thing")
        snapshot = database.snapshot()
        for connection in (idle, busy):
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
            connection.close()
        busy = psycopg.connect(database.url)
        busy.execute("LOCK TABLE thing")
        database.restore(snapshot)
        assert self.things(database) == {"thing"}
        busy.close()
        databases.drop(database)

    def test_client_with_a_lost_connection_is_replaced(
        self, databases: Databases, name: str
    ) -> None:
        database = databases.create(name)
        self._end_our_connections(database)
        assert databases.create(f"{name}_2").database == f"{name}_2"
        self._end_our_connections(database)
        snapshot = database.snapshot()
        self._end_our_connections(database)
        database.restore(snapshot)
        self._end_our_connections(database)
        databases.drop(database)
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            self.things(database)

    def _end_our_connections(self, database: Database) -> None:
        with psycopg.connect(database.url) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE application_name = 'pytest-ldb'"
            )

    def test_template_with_an_open_connection_can_be_copied(
        self, databases: Databases, name: str
    ) -> None:
        template = databases.create_template(f"{name}_t")
        connection = psycopg.connect(template.url)
        connection.execute("SELECT 1")
        databases.seal(template)
        databases.create(name, template.database)
        connection.close()

    def test_copy_has_what_belongs_to_the_whole_database(
        self, databases: Databases, name: str
    ) -> None:
        template = databases.create_template(f"{name}_t")
        with psycopg.connect(template.url, autocommit=True) as connection:
            for statement in (
                f'CREATE ROLE "{name}\'s"',
                f'ALTER DATABASE {name}_t OWNER TO "{name}\'s"',
                f"ALTER DATABASE {name}_t CONNECTION LIMIT 50",
                f"ALTER DATABASE {name}_t SET search_path TO '', \"My Schema\"",
                f"ALTER ROLE \"{name}'s\" IN DATABASE {name}_t SET app.tenant TO 'it''s'",
                f"GRANT CREATE ON DATABASE {name}_t TO pg_monitor WITH GRANT OPTION",
                f"REVOKE TEMPORARY ON DATABASE {name}_t FROM PUBLIC",
                f"COMMENT ON DATABASE {name}_t IS '%s %L it''s'",
            ):
                connection.execute(statement.encode())
        databases.seal(template)
        copy = databases.create(name, template.database)
        query = (
            "SELECT datdba, datacl, datconnlimit, shobj_description(oid, 'pg_database'),"
            " ARRAY(SELECT (setrole, setconfig)::text FROM pg_db_role_setting"
            " WHERE setdatabase = oid ORDER BY setrole) FROM pg_database WHERE datname = %s"
        )
        with psycopg.connect(copy.url) as connection:
            found = [
                connection.execute(query, [database.database]).fetchone()
                for database in (template, copy)
            ]
            assert found[0] == found[1]
            assert None not in (found[0] or ())
            assert connection.execute("SHOW search_path").fetchone() == ('"", "My Schema"',)

    def test_database_is_dropped_with_what_holds_it(self, servers: Servers, name: str) -> None:
        settings = ("-c", "max_prepared_transactions=5", "-c", "wal_level=logical")
        other = Servers(servers.engine, servers.directory, run=name.replace("_", "-"))
        databases = databases_on(other.obtain(replace(POSTGRES, command=settings)))
        publisher, subscriber = databases.create(name), databases.create(f"{name}_2")
        with psycopg.connect(publisher.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE thing (x int)")
            connection.execute("CREATE PUBLICATION things FOR TABLE thing")
            connection.execute("SELECT pg_create_logical_replication_slot('slot', 'pgoutput')")
        with psycopg.connect(subscriber.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE thing (x int)")
            source = f"host=localhost user={publisher.user} password={publisher.password}"
            connection.execute(
                f"CREATE SUBSCRIPTION \"it's\" CONNECTION '{source} dbname={name}'"
                " PUBLICATION things WITH"
                " (create_slot = false, slot_name = slot, copy_data = false)".encode()
            )
        with psycopg.connect(publisher.url, autocommit=True) as connection:
            for statement in (
                b"BEGIN",
                b"INSERT INTO thing VALUES (1)",
                b"PREPARE TRANSACTION 'it''s'",
            ):
                connection.execute(statement)
        # As at the end of a process: without `disconnect`.
        for database in (subscriber, publisher):
            databases.lease.commands.run(POSTGRES.operations.drop, database.database)
        with psycopg.connect(databases.create(f"{name}_3").url) as connection:
            for left in ("prepared_xacts", "replication_slots", "subscription"):
                assert connection.execute(f"SELECT * FROM pg_{left}".encode()).fetchall() == []
        other.close()

    def test_client_on_the_initial_database_does_not_prevent_copies(
        self, durable: Lease, name: str
    ) -> None:
        databases = databases_on(durable)
        initial = Database(durable.instance, POSTGRES.server.initial_database, POSTGRES)
        # The second time as if a process that has ended had opened it for clients again.
        for number in range(2):
            durable.commands.run(POSTGRES.operations.unseal, initial.database)
            connection = psycopg.connect(initial.url)
            assert self.things(databases.create(f"{name}_{number}")) == {"filled"}
            connection.close()
        durable.commands.run(POSTGRES.operations.unseal, initial.database)

    def test_processes_may_close_a_database_at_the_same_time(
        self, databases: Databases, name: str
    ) -> None:
        url = replace(databases.create(name), database="postgres").url
        seal = render(str(POSTGRES.operations.seal), {"database": name}).encode()

        def close(_: int) -> None:
            with psycopg.connect(url, autocommit=True) as connection:
                for _ in range(50):
                    connection.execute(seal)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(close, range(4)))


class TestMySQL(MySqlContent, DatabaseTypeContract):
    database_type = MYSQL
    script = ("fill.sql", "CREATE TABLE filled (x int);")
    refused = pymysql.err.OperationalError

    def add(self, database: Database, name: str) -> None:
        with _mysql(**database.connect_args("pymysql")) as connection:
            connection.cursor().execute(f"CREATE TABLE {name} (x int)")

    def things(self, database: Database) -> set[str]:
        with _mysql(**database.connect_args("pymysql")) as connection:
            cursor = connection.cursor()
            cursor.execute("SHOW TABLES")
            return {row[0] for row in cursor}

    def test_sqlalchemy_connects(self, databases: Databases, name: str) -> None:
        url = databases.create(name).sqlalchemy_url("pymysql")
        assert _selected(url, "SELECT database()") == name

    def test_environment_variables_hold_the_address(self, databases: Databases, name: str) -> None:
        variables = databases.create(name).env
        with _mysql(
            host=variables["MYSQL_HOST"],
            port=int(variables["MYSQL_TCP_PORT"]),
            user=variables["MYSQL_USER"],
            password=variables["MYSQL_PWD"],
            database=variables["MYSQL_DATABASE"],
        ) as connection:
            connection.ping()

    def test_copies_include_routines_views_and_triggers(
        self, databases: Databases, name: str
    ) -> None:
        template = databases.create_template(f"{name}_t")
        with _mysql(**template.connect_args("pymysql")) as connection:
            cursor = connection.cursor()
            cursor.execute("CREATE TABLE numbers (x int)")
            cursor.execute("CREATE VIEW seen AS SELECT x FROM numbers")
            cursor.execute("CREATE FUNCTION answer() RETURNS int DETERMINISTIC RETURN 42")
            cursor.execute(
                "CREATE TRIGGER t BEFORE INSERT ON numbers FOR EACH ROW SET NEW.x = answer()"
            )
        copy = databases.create(name, template.database)
        with _mysql(**copy.connect_args("pymysql")) as connection:
            cursor = connection.cursor()
            cursor.execute("INSERT INTO numbers VALUES (1)")
            cursor.execute("SELECT x FROM seen")
            assert cursor.fetchone() == (42,)

    def test_server_settings_are_applied(self, databases: Databases, name: str) -> None:
        taken = {
            "innodb_flush_log_at_trx_commit": "0",
            "innodb_doublewrite": "OFF",
            "log_bin": "OFF",
            "performance_schema": "OFF",
            "innodb_redo_log_capacity": str(8 << 20),
            "max_connections": "300",
        }
        with _mysql(**databases.create(name).connect_args("pymysql")) as connection:
            cursor = connection.cursor()
            cursor.execute("SHOW VARIABLES")
            assert taken.items() <= dict(cursor.fetchall()).items()
            cursor.execute("SHOW PLUGINS")
            assert "ACTIVE" not in {row[1] for row in cursor if row[0] == "mysqlx"}
        assert len(MYSQL.server.tuning) == len(taken) + 1

    def test_incomplete_copy_is_an_error(self, databases: Databases, name: str) -> None:
        template = databases.create_template(f"{name}_t")
        with _mysql(**template.connect_args("pymysql")) as connection:
            cursor = connection.cursor()
            cursor.execute("CREATE TABLE short_lived (x int)")
            cursor.execute("CREATE VIEW broken AS SELECT x FROM short_lived")
            cursor.execute("DROP TABLE short_lived")
        for make in (
            lambda: databases.seal(template),
            lambda: databases.create(name, template.database),
        ):
            with pytest.raises(CommandFailed, match="ended with status") as caught:
                make()
            assert "broken" in caught.value.evidence

    def test_database_with_an_open_transaction_can_be_dropped(
        self, databases: Databases, name: str
    ) -> None:
        database = databases.create(name)
        self.add(database, "thing")
        connection = _mysql(**database.connect_args("pymysql"))
        connection.cursor().execute("SELECT * FROM thing")
        databases.drop(database)
        with pytest.raises(pymysql.err.OperationalError):
            connection.ping(reconnect=False)

    def test_snapshot_and_restore_close_connections(self, databases: Databases, name: str) -> None:
        database = databases.create(name)
        self.add(database, "thing")
        connection = _mysql(**database.connect_args("pymysql"))
        connection.cursor().execute("LOCK TABLES thing WRITE")
        snapshot = database.snapshot()
        with pytest.raises(pymysql.err.OperationalError):
            connection.ping(reconnect=False)
        connection = _mysql(**database.connect_args("pymysql"))
        connection.cursor().execute("SELECT * FROM thing")
        database.restore(snapshot)
        with pytest.raises(pymysql.err.OperationalError):
            connection.ping(reconnect=False)
        assert self.things(database) == {"thing"}

    @pytest.mark.parametrize(
        ("statements", "again"),
        [
            ("SELECT 1", True),
            ("INSERT INTO goods (name, price) VALUES ('cup', 2)", True),
            ("DELETE FROM orders; DELETE FROM goods", True),
            ("UPDATE goods SET price = price + 0.01", True),
            ("UPDATE goods SET price = 10 - price", True),
            ("UPDATE goods SET price = NULL, name = '' WHERE id = 1", True),
            ("INSERT INTO goods (name) VALUES ('x'); DELETE FROM goods WHERE name = 'x'", True),
            ("TRUNCATE orders", True),
            ("BEGIN; INSERT INTO goods (name) VALUES ('never committed')", True),
            ("LOCK TABLES goods WRITE", True),
            ("DROP TABLE orders", False),
            ("ALTER TABLE goods ADD COLUMN more int", False),
            ("ALTER TABLE goods ADD INDEX (name)", False),
            ("ALTER TABLE goods MODIFY price float", False),
            ("CREATE TABLE more (x int)", False),
            ("CREATE VIEW seen AS SELECT name FROM goods", False),
            ("CREATE TRIGGER t BEFORE INSERT ON goods FOR EACH ROW SET NEW.price = 7", False),
            ("CREATE FUNCTION answer() RETURNS int DETERMINISTIC RETURN 42", False),
            ("CREATE EVENT never ON SCHEDULE EVERY 1 YEAR DO SELECT 1", False),
            ("ALTER DATABASE DEFAULT CHARACTER SET latin1", False),
            ("DROP VIEW cheap", False),
        ],
    )
    def test_changes_are_reset_or_detected(
        self, lease: Lease, goods: DatabaseFactory, statements: str, again: bool
    ) -> None:
        database = goods.make()
        before = _dump(lease, database)
        connection = _mysql(**database.connect_args("pymysql"), autocommit=True)
        for statement in statements.split(";"):
            connection.cursor().execute(statement)
        assert goods.put_back(database) is again
        connection._force_close()
        if again:
            assert _dump(lease, database) == before
            goods.put_back(database)

    def test_copy_is_what_the_setup_made(self, odd: DatabaseFactory) -> None:
        """Every digit and byte, names that need quotes, and what belongs to the whole database."""
        database = odd.make()
        template = replace(database, database=odd.template or "")
        assert mysql_reading(database) == mysql_reading(template)

    @pytest.mark.parametrize(
        ("statements", "again"),
        [
            ("SELECT 1", True),
            ("UPDATE numbers SET f = 16777208 WHERE id = 0", True),
            ("UPDATE numbers SET f = 0 WHERE id = 1", True),
            ("UPDATE numbers SET d = 0.3 WHERE id = 1", True),
            ("UPDATE `it's` SET e = '' WHERE e = 1", True),
            ("UPDATE `we``ird {thing}` SET `a``b` = 2", True),
            ("INSERT INTO `back\\slash\ttab` VALUES (2)", True),
            ("UPDATE `--größe 日本` SET c = x'00ff275c0a0e'", True),
            ("UPDATE `--größe 日本` SET b = CONCAT(REPEAT('x', 69999), 'y')", True),
            ("UPDATE `--größe 日本` SET t = '2020-10-25 00:30:00.123457'", True),
            # What is seen without ORDER BY.
            ("DELETE FROM `it's` WHERE a = 2; INSERT INTO `it's` VALUES (2, 5, 1, 3, 3)", True),
            # The trigger would run on the rows that are put back.
            ("UPDATE made SET d = 1", False),
            ("ALTER EVENT never DO SELECT 2", False),
            ("ALTER PROCEDURE asked COMMENT 'x'", False),
            ("CREATE OR REPLACE VIEW seen AS SELECT id, 1 AS x FROM numbers", False),
            ("ALTER DATABASE COLLATE latin1_german1_ci", False),
        ],
    )
    def test_changes_of_odd_tables_are_reset_or_detected(
        self, odd: DatabaseFactory, statements: str, again: bool
    ) -> None:
        database = odd.make()
        before = mysql_reading(database)
        _change(database, statements)
        assert odd.put_back(database) is again
        if again:
            assert mysql_reading(database) == before
            odd.databases.drop(database)

    def test_database_that_a_prepared_transaction_holds_is_not_handed_on(
        self, goods: DatabaseFactory
    ) -> None:
        database = goods.make()
        assert goods.resetter
        _change(
            database, "XA START 'x'; INSERT INTO nothing VALUES (7); XA END 'x'; XA PREPARE 'x'"
        )
        assert not goods.resetter.put_back(database)
        _change(database, "XA ROLLBACK 'x'")
        assert goods.resetter.put_back(database)
        goods.databases.drop(database)

    def test_restore_keeps_the_collation(self, databases: Databases, name: str) -> None:
        database = databases.create(name)
        _change(database, "ALTER DATABASE COLLATE latin1_german1_ci")
        before = mysql_reading(database)
        database.restore(database.snapshot())
        assert mysql_reading(database) == before

    @pytest.fixture(scope="class")
    @classmethod
    def odd(cls, databases: Databases) -> DatabaseFactory:
        template = databases.create_template(f"ldb_t_{uuid.uuid4().hex[:12]}")
        _change(template, ODD_TABLES)
        databases.seal(template)
        return DatabaseFactory(databases, f"ldb_{uuid.uuid4().hex[:8]}", template.database)

    @pytest.fixture(scope="class")
    @classmethod
    def goods(cls, databases: Databases) -> DatabaseFactory:
        template = databases.create_template(f"ldb_t_{uuid.uuid4().hex[:12]}")
        with _mysql(**template.connect_args("pymysql"), autocommit=True) as connection:
            for statement in GOODS.split(";"):
                connection.cursor().execute(statement)
        databases.seal(template)
        return DatabaseFactory(databases, f"ldb_{uuid.uuid4().hex[:8]}", template.database)


class TestMongoDB(MongoContent, DatabaseTypeContract):
    database_type = MONGODB
    script = ("fill.js", "db.filled.insertOne({ x: 1 }); db.filled.createIndex({ x: 1 })")
    refused = pymongo.errors.OperationFailure

    def add(self, database: Database, name: str) -> None:
        with _mongodb(database.url) as client:
            client[database.database][name].insert_one({"x": 1})

    def things(self, database: Database) -> set[str]:
        with _mongodb(database.url) as client:
            return set(client[database.database].list_collection_names())

    def test_keywords_connect(self, databases: Databases, name: str) -> None:
        with _mongodb(**databases.create(name).connect_args("pymongo")) as client:
            assert client.admin.command("ping")["ok"] == 1
            assert client.get_default_database().name == name

    def test_server_settings_are_applied(self, databases: Databases, name: str) -> None:
        with _mongodb(databases.create(name).url) as client:
            taken = client.admin.command("getCmdLineOpts")["parsed"]
            assert taken["storage"]["wiredTiger"]["engineConfig"]["cacheSizeGB"] == 0.25
            diagnostics = "diagnosticDataCollectionEnabled"
            assert client.admin.command({"getParameter": 1, diagnostics: 1})[diagnostics] is False
            engine = taken["storage"]["wiredTiger"]["engineConfig"]["configString"]
            assert engine == MONGODB.server.tuning[-1]
        assert len(MONGODB.server.tuning) == 6

    def test_environment_variables_connect_client_programs(
        self, databases: Databases, name: str
    ) -> None:
        with _mongodb(databases.create(name).env["MONGODB_URI"]) as client:
            assert client.get_default_database().name == name

    def test_copies_include_all_collection_types_and_indexes(
        self, databases: Databases, name: str
    ) -> None:
        template = databases.create_template(f"{name}_t")
        with _mongodb(template.url) as client:
            database = client[template.database]
            database.plain.insert_many([{"x": number} for number in range(200)])
            database.plain.create_index("x", unique=True)
            database.create_collection("capped", capped=True, size=4096).insert_one({"x": 1})
            series = database.create_collection("series", timeseries={"timeField": "at"})
            series.insert_one({"at": datetime.now(timezone.utc), "x": 1})
            database.create_collection("seen", viewOn="plain", pipeline=[{"$match": {"x": 7}}])
            database.create_collection("empty")
        with _mongodb(databases.create(name, template.database).url) as client:
            database = client[name]
            assert database.plain.count_documents({}) == 200
            assert database.plain.index_information()["x_1"]["unique"]
            assert database.capped.options()["capped"]
            assert [found["x"] for found in database.seen.find()] == [7]
            assert database.series.count_documents({}) == database.capped.count_documents({}) == 1
            names = {"plain", "capped", "series", "seen", "empty"}
            assert names <= set(database.list_collection_names())

    def test_copy_is_what_the_setup_made(self, databases: Databases, name: str) -> None:
        """Names and order of fields, types of values, and what an added validator refuses."""
        template = databases.create_template(f"{name}_t")
        with _mongodb(template.url) as client:
            _fill_with_odd_documents(client[template.database])
        databases.seal(template)
        copy = databases.create(name, template.database)
        with _mongodb(copy.url) as client:
            before = mongodb_reading(template)
            assert mongodb_reading(copy) == before
            database = client[copy.database]
            assert database.capped.options() == client[template.database].capped.options()
            assert database.odd.options() == client[template.database].odd.options()
            snapshot = copy.snapshot()
            for collection in ("odd", "name with spaces.and é", "capped"):
                database[collection].drop()
            copy.restore(snapshot)
            assert mongodb_reading(copy) == before

    @pytest.mark.parametrize(
        "change",
        [
            lambda odd: odd.update_one({"_id": 1}, {"$set": {"keep": 2.0}}),
            lambda odd: odd.delete_one({"_id": None}),
            # What is seen without a sort.
            lambda odd: odd.insert_one(odd.find_one_and_delete({"_id": 1})),
        ],
        ids=["type of a value", "document without an _id", "order of documents"],
    )
    def test_odd_documents_are_reset(
        self, databases: Databases, name: str, change: Callable[[Any], object]
    ) -> None:
        template = databases.create_template(f"{name}_t")
        with _mongodb(template.url) as client:
            _fill_with_odd_documents(client[template.database])
            databases.seal(template)
            source = DatabaseFactory(databases, name, template.database)
            database = source.make()
            odd = client[database.database].odd
            before = mongodb_reading(database)
            client[database.database].command("collMod", "odd", validator={})
            change(odd)
            client[database.database].command("collMod", "odd", validator=NEVER)
            assert mongodb_reading(database) != before
            assert source.put_back(database)
            assert mongodb_reading(database) == before

    @pytest.mark.parametrize(
        ("change", "again"),
        [
            (lambda _: None, True),
            (lambda database: database.goods.insert_one({"name": "cup"}), True),
            (lambda database: database.goods.delete_many({}), True),
            (lambda database: database.goods.update_many({}, {"$inc": {"price": 1}}), True),
            (lambda database: database.goods.insert_one({"tags": ["a", "b"]}), True),
            (lambda database: database["größen neu"].insert_one({}), True),
            (lambda database: database.goods.create_index("tags"), False),
            (lambda database: database.goods.drop_index("price_1"), False),
            (lambda database: database.goods.drop(), False),
            (lambda database: database.goods.rename("wares"), False),
            (lambda database: database.more.insert_one({}), False),
            (lambda database: database.create_collection("seen", viewOn="goods"), False),
            (
                lambda database: database.command(
                    "collMod", "goods", validator={"price": {"$exists": True}}
                ),
                False,
            ),
        ],
    )
    def test_changes_are_reset_or_detected(
        self, goods: DatabaseFactory, change: Callable[[Any], object], again: bool
    ) -> None:
        database = goods.make()
        with _mongodb(database.url) as client:
            change(client[database.database])
            assert goods.put_back(database) is again
            if again:
                found = client[database.database].goods.find({}, {"_id": 0})
                assert list(found) == [{"name": "hat", "price": n} for n in range(3)]
                assert client[database.database]["größen neu"].count_documents({}) == 1
                goods.put_back(database)

    @pytest.fixture(scope="class")
    @classmethod
    def goods(cls, databases: Databases) -> DatabaseFactory:
        template = databases.create_template(f"ldb_t_{uuid.uuid4().hex[:12]}")
        with _mongodb(template.url) as client:
            collection = client[template.database].goods
            collection.insert_many([{"name": "hat", "price": n} for n in range(3)])
            collection.create_index("price")
            collection.create_index("name")
            client[template.database]["größen neu"].insert_one({})
        databases.seal(template)
        return DatabaseFactory(databases, f"ldb_{uuid.uuid4().hex[:8]}", template.database)


class TestRedis(RedisContent, DatabaseTypeContract):
    database_type = REDIS
    script = ("fill.redis", "SET filled 1\n")
    refused = (redis.AuthenticationError, redis.ResponseError)

    def add(self, database: Database, name: str) -> None:
        with redis.Redis.from_url(database.url) as client:
            client.set(name, "value")

    def things(self, database: Database) -> set[str]:
        with redis.Redis.from_url(database.url) as client:
            return {key.decode() for key in client.scan_iter()}

    def test_keywords_connect(self, databases: Databases, name: str) -> None:
        keywords = databases.create(name).connect_args("redis")
        with redis.Redis(**keywords) as client:
            assert client.ping()

    def test_environment_variables_connect_client_programs(
        self, databases: Databases, name: str
    ) -> None:
        program = "import os, redis; print(redis.from_url(os.environ['REDIS_URL']).ping())"
        assert _printed(program, databases.create(name).env) == "True"

    def test_server_settings_are_applied(self, databases: Databases, name: str) -> None:
        with redis.Redis(**databases.create(name).connect_args("redis")) as client:
            for setting, value in (("save", ""), ("appendonly", "no"), ("databases", "1024")):
                assert client.config_get(setting) == {setting: value}
        assert REDIS.server.tuning == ("--save", "", "--appendonly", "no")

    def test_nonempty_number_is_never_assigned(self, servers: Servers, name: str) -> None:
        lease = servers.obtain(REDIS)
        databases = databases_on(lease)
        first = int(databases.create(name).database)
        mine = Database(lease.instance, str(first + 1), REDIS)
        self.add(mine, "mine")
        assert int(databases.create(name).database) == first + 2
        assert self.things(mine) == {"mine"}

    def test_copies_include_all_value_types(self, databases: Databases, name: str) -> None:
        template = databases.create_template(name)
        with redis.Redis.from_url(template.url) as client:
            client.set("text", b"\x00\xff it's")
            client.rpush("list", 1, 2)
            client.hset("hash", "a", "b")
            client.zadd("sorted", {"a": 1.5})
            client.set("short", "x", ex=1000)
        with redis.Redis.from_url(databases.create(name, template.database).url) as client:
            assert client.get("text") == b"\x00\xff it's"
            assert client.lrange("list", 0, -1) == [b"1", b"2"]
            assert client.hgetall("hash") == {b"a": b"b"}
            assert client.zscore("sorted", "a") == 1.5
            ttl: Any = client.ttl("short")
            assert 0 < ttl <= 1000


def _dump(lease: Lease, database: Database) -> str:
    command = ["mysqldump", "--user=root", "--routines", "--events", "--skip-comments"]
    return lease.shell.run([*command, database.database])


NEVER = {"never": {"$gt": 1.0}}


def _fill_with_odd_documents(database: Any) -> None:
    documents: list[dict[str, object]] = [
        {"_id": 2, "a.b": 1, "x": {"c.d": 1, "$e": 1, "": 0}, "2": 0, "1": 0},
        {"_id": 1, "keep": 2, "whole": 1.0, "long": Int64(1), "pattern": Regex("x", "x")},
        {"_id": None, "$first": 1, "": Decimal128("1.10"), "nan": float("nan"), "zero": -0.0},
    ]
    database.odd.insert_many(documents)
    database.odd.create_index("keep", partialFilterExpression={"long": {"$gt": Int64(0)}})
    database.command("collMod", "odd", validator=NEVER)
    database["name with spaces.and é"].insert_many(documents)
    database.create_collection("capped", capped=True, size=8192, max=7).insert_many(documents)
    database.create_collection("series", timeseries={"timeField": "at"}).insert_many(
        [{"at": datetime(2020, 1, day, tzinfo=timezone.utc), "x": 1.0} for day in (2, 1)]
    )
    database["system.js"].insert_one({"_id": "one", "value": Code("function() { return 1.0 }")})


def _change(database: Database, statements: str) -> None:
    with _mysql(**database.connect_args("pymysql"), autocommit=True) as connection:
        for statement in statements.split(";"):
            connection.cursor().execute(statement)


def _mysql(**keywords: Any) -> Any:
    return pymysql.connect(**keywords)


def _mongodb(*arguments: Any, **keywords: Any) -> pymongo.MongoClient[dict[str, Any]]:
    return pymongo.MongoClient(*arguments, serverSelectionTimeoutMS=5000, **keywords)


def _selected(url: str, query: str) -> object:
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.connect() as connection:
            return connection.scalar(sqlalchemy.text(query))
    finally:
        engine.dispose()


def _printed(program: str, variables: dict[str, str]) -> str:
    return subprocess.check_output(
        [sys.executable, "-c", program], env={**os.environ, **variables}, text=True
    ).strip()
