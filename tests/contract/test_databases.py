"""Every declared database keeps its promises, to the drivers that people use."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import psycopg
import pymongo
import pymongo.errors
import pymysql
import pytest
import redis
import sqlalchemy
import sqlalchemy.exc

from pytest_ldb import MONGODB, MYSQL, POSTGRES, REDIS, Database
from pytest_ldb.core.errors import CommandFailed
from pytest_ldb.core.lease import Lease
from pytest_ldb.testing import DatabaseTypeContract


class TestPostgres(DatabaseTypeContract):
    database_type = POSTGRES
    init_script = ("fill.sql", "CREATE TABLE filled (x int)")
    refused = psycopg.OperationalError

    def add(self, database: Database, name: str) -> None:
        with psycopg.connect(database.url) as connection:
            connection.execute(f"CREATE TABLE {name} (x int)".encode())

    def things(self, database: Database) -> set[str]:
        with psycopg.connect(database.url) as connection:
            query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            return {row[0] for row in connection.execute(query)}

    def test_libpq_keywords_connect(self, lease: Lease, name: str) -> None:
        keywords: dict[str, Any] = lease.create_database(name).libpq
        with psycopg.connect(**keywords) as connection:
            assert connection.info.dbname == name

    def test_sqlalchemy_connects(self, lease: Lease, name: str) -> None:
        url = lease.create_database(name).sqlalchemy_url("psycopg")
        assert _selected(url, "SELECT current_database()") == name

    def test_the_environment_connects_other_programs(self, lease: Lease, name: str) -> None:
        program = "import psycopg; print(psycopg.connect().info.dbname)"
        database = lease.create_database(name)
        assert _printed(program, database.environment) == name

    def test_a_database_with_connections_can_be_dropped(self, lease: Lease, name: str) -> None:
        database = lease.create_database(name)
        with psycopg.connect(database.url):
            lease.shell.run([part.format(database=name) for part in POSTGRES.drop])


class TestMySQL(DatabaseTypeContract):
    database_type = MYSQL
    init_script = ("fill.sql", "CREATE TABLE filled (x int);")
    refused = pymysql.err.OperationalError

    def add(self, database: Database, name: str) -> None:
        with _mysql(**database.keywords) as connection:
            connection.cursor().execute(f"CREATE TABLE {name} (x int)")

    def things(self, database: Database) -> set[str]:
        with _mysql(**database.keywords) as connection:
            cursor = connection.cursor()
            cursor.execute("SHOW TABLES")
            return {row[0] for row in cursor}

    def test_sqlalchemy_connects(self, lease: Lease, name: str) -> None:
        url = lease.create_database(name).sqlalchemy_url("pymysql")
        assert _selected(url, "SELECT database()") == name

    def test_the_environment_says_where_it_is(self, lease: Lease, name: str) -> None:
        variables = lease.create_database(name).environment
        with _mysql(
            host=variables["MYSQL_HOST"],
            port=int(variables["MYSQL_TCP_PORT"]),
            user=variables["MYSQL_USER"],
            password=variables["MYSQL_PWD"],
            database=variables["MYSQL_DATABASE"],
        ) as connection:
            connection.ping()

    def test_clones_have_routines_views_and_triggers(self, durable: Lease, name: str) -> None:
        template = Database(durable.instance, MYSQL.initial_database, MYSQL)
        with _mysql(**template.keywords) as connection:
            cursor = connection.cursor()
            cursor.execute("CREATE VIEW seen AS SELECT 42 AS answer")
            cursor.execute("CREATE FUNCTION answer() RETURNS int DETERMINISTIC RETURN 42")
            try:
                url = durable.create_database(name).sqlalchemy_url("pymysql")
                assert _selected(url, "SELECT answer + answer() FROM seen") == 84
            finally:
                cursor.execute("DROP VIEW seen")
                cursor.execute("DROP FUNCTION answer")

    def test_a_clone_that_is_not_complete_is_an_error(self, durable: Lease, name: str) -> None:
        template = Database(durable.instance, MYSQL.initial_database, MYSQL)
        with _mysql(**template.keywords) as connection:
            cursor = connection.cursor()
            cursor.execute("CREATE TABLE short_lived (x int)")
            cursor.execute("CREATE VIEW broken AS SELECT x FROM short_lived")
            cursor.execute("DROP TABLE short_lived")
            try:
                with pytest.raises(CommandFailed, match="ended with status") as caught:
                    durable.create_database(name)
            finally:
                cursor.execute("DROP VIEW broken")
        assert "broken" in caught.value.evidence


class TestMongoDB(DatabaseTypeContract):
    database_type = MONGODB
    init_script = ("fill.js", "db.filled.insertOne({ x: 1 }); db.filled.createIndex({ x: 1 })")
    refused = pymongo.errors.OperationFailure

    def add(self, database: Database, name: str) -> None:
        with _mongodb(database.url) as client:
            client[database.database][name].insert_one({"x": 1})

    def things(self, database: Database) -> set[str]:
        with _mongodb(database.url) as client:
            return set(client[database.database].list_collection_names())

    def test_keywords_connect(self, lease: Lease, name: str) -> None:
        keywords: dict[str, Any] = lease.create_database(name).keywords
        with _mongodb(**keywords) as client:
            assert client.admin.command("ping")["ok"] == 1

    def test_the_environment_connects_other_programs(self, lease: Lease, name: str) -> None:
        with _mongodb(lease.create_database(name).environment["MONGODB_URI"]) as client:
            assert client.get_default_database().name == name

    def test_clones_have_documents_and_indexes(self, durable: Lease, name: str) -> None:
        with _mongodb(durable.create_database(name).url) as client:
            filled = client[name]["filled"]
            assert filled.count_documents({"x": 1}) == 1
            assert set(filled.index_information()) == {"_id_", "x_1"}


class TestRedis(DatabaseTypeContract):
    database_type = REDIS
    refused = (redis.AuthenticationError, redis.ResponseError)

    def add(self, database: Database, name: str) -> None:
        with redis.Redis.from_url(database.url) as client:
            client.set(name, "value")

    def things(self, database: Database) -> set[str]:
        with redis.Redis.from_url(database.url) as client:
            return {key.decode() for key in client.scan_iter()}

    def test_keywords_connect(self, lease: Lease, name: str) -> None:
        keywords: dict[str, Any] = lease.create_database(name).keywords
        with redis.Redis(**keywords) as client:
            assert client.ping()

    def test_the_environment_connects_other_programs(self, lease: Lease, name: str) -> None:
        program = "import os, redis; print(redis.from_url(os.environ['REDIS_URL']).ping())"
        assert _printed(program, lease.create_database(name).environment) == "True"

    def test_a_number_that_is_not_empty_is_never_handed_out(self, lease: Lease, name: str) -> None:
        first = int(lease.create_database(name).database)
        mine = Database(lease.instance, str(first + 1), REDIS)
        self.add(mine, "mine")
        assert int(lease.create_database(name).database) == first + 2
        assert self.things(mine) == {"mine"}


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
