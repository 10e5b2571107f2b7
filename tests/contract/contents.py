"""Random content of the built-in database types, and what a test can see of it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import psycopg
import pymongo
import pymysql
import redis
from bson import Code, Decimal128, Int64, Regex, Timestamp
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from hypothesis import strategies as st
from pymongo.errors import PyMongoError

from pytest_ldb import Database
from pytest_ldb.testing.contents import ContentContract

Statement = tuple[str, tuple[object, ...]]

NAMES = (
    *("plain", "it's", 'say "x"', "we`ird", "{database} {thing}", "größe 日本", "--", "a b; c"),
    *("back\\slash", "dot.ted", "100 % $1", "UPPER", "tab\tbed", "new\nline", "#", "/* */"),
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32, allow_subnormal=False)
WHOLE = st.integers(-(2**31), 2**31 - 1)


class SqlContent(ContentContract):
    """Tables with odd names and exact values."""

    columns: str
    quote: str
    further: tuple[str, ...]

    def quoted(self, name: str) -> str:
        """Return a name as the server wants it."""
        return self.quote + name.replace(self.quote, 2 * self.quote) + self.quote

    def run(self, database: Database, statements: Iterable[Statement]) -> None:
        """Run statements, those that the server refuses too."""
        raise NotImplementedError

    def write(self, database: Database, written: list[tuple[str, str, tuple[object, ...]]]) -> None:
        self.run(database, list(self._statements(written)))

    def _statements(
        self, written: list[tuple[str, str, tuple[object, ...]]]
    ) -> Iterable[Statement]:
        for verb, name, row in written:
            table = self.quoted(name)
            escaped = table.replace("%", "%%")
            fields = ", ".join(column.split()[0] for column in self.columns.split(", "))
            if verb == "insert":
                places = ", ".join(["%s"] * len(row))
                yield f"CREATE TABLE {table} ({self.columns}, id int)", ()
                yield f"INSERT INTO {escaped} ({fields}) VALUES ({places})", row
            elif verb == "update":
                yield f"UPDATE {escaped} SET f = %s, t = %s", (row[0], row[2])
            elif verb == "again":
                yield f"CREATE TABLE moved AS SELECT * FROM {table}", ()
                yield f"DELETE FROM {table}", ()
                yield f"INSERT INTO {table} SELECT * FROM moved ORDER BY f DESC", ()
                yield "DROP TABLE moved", ()
            else:
                yield verb.replace("{table}", table), ()


ROWS = st.tuples(
    FLOATS, DOUBLES, TEXTS, st.binary(max_size=40), st.decimals("-1e9", "1e9", places=6)
)
FILLED = st.lists(
    st.tuples(st.just("insert"), st.sampled_from(NAMES), ROWS), min_size=1, max_size=6
)


def _changes(*statements: str) -> st.SearchStrategy[Any]:
    verbs = st.sampled_from(["insert", "update", "again", "DELETE FROM {table}", *statements])
    return st.lists(st.tuples(verbs, st.sampled_from(NAMES), ROWS), max_size=5)


def _content(*statements: str) -> st.SearchStrategy[Any]:
    more = st.lists(
        st.tuples(st.sampled_from(statements), st.sampled_from(NAMES), ROWS), max_size=3
    )
    return st.builds(list.__add__, FILLED, more)


class MySqlContent(SqlContent):
    """Content of MySQL."""

    columns = "f float, d double, t varchar(99) CHARACTER SET utf8mb4, b longblob, n decimal(20, 6)"
    quote = "`"
    contents = _content(
        "ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_bin",
        "ALTER TABLE {table} MODIFY id int AUTO_INCREMENT PRIMARY KEY",
        "CREATE VIEW seen AS SELECT t FROM {table}",
        "CREATE TRIGGER more BEFORE INSERT ON {table} FOR EACH ROW SET NEW.t = 'more'",
        "CREATE FUNCTION answer() RETURNS int DETERMINISTIC RETURN 42",
    )
    changes = _changes(
        *("TRUNCATE {table}", "DROP TABLE {table}", "ALTER TABLE {table} ADD more int"),
        *("ALTER DATABASE COLLATE utf8mb4_bin", "DROP VIEW seen", "DROP TRIGGER more"),
        "ALTER FUNCTION answer COMMENT 'x'",
    )

    def run(self, database: Database, statements: Iterable[Statement]) -> None:
        arguments = database.connect_args("pymysql")
        with pymysql.connect(**arguments, autocommit=True) as connection:
            for statement, values in statements:
                with suppress(pymysql.err.MySQLError):
                    connection.cursor().execute(statement, values or None)

    def read(self, database: Database) -> object:
        return mysql_reading(database)


class PostgresContent(SqlContent):
    """Content of PostgreSQL."""

    columns = "f real, d double precision, t text, b bytea, n numeric"
    quote = '"'
    contents = _content(
        "ALTER DATABASE CURRENT SET search_path TO public, extra",
        "ALTER TABLE {table} ADD number serial",
        "CREATE VIEW seen AS SELECT t FROM {table}",
        "CREATE SEQUENCE numbers START 7",
        "COMMENT ON DATABASE CURRENT IS 'a % comment'",
    )
    changes = _changes(
        *("TRUNCATE {table}", "DROP TABLE {table} CASCADE", "ALTER TABLE {table} ADD more int"),
        *("SELECT nextval('numbers')", "DROP VIEW seen", "ALTER DATABASE CURRENT RESET ALL"),
    )

    def run(self, database: Database, statements: Iterable[Statement]) -> None:
        with psycopg.connect(database.url, autocommit=True) as connection:
            for statement, values in statements:
                text = statement.replace("CURRENT", self.quoted(database.database)).encode()
                with suppress(psycopg.Error):
                    connection.execute(text, values or None)

    def read(self, database: Database) -> object:
        with psycopg.connect(database.url, autocommit=True) as connection:

            def rows(query: str, *values: object) -> list[Any]:
                return connection.execute(query.encode(), values or None).fetchall()

            public = "FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            return {
                "columns": rows(
                    "SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod)"
                    f" FROM pg_attribute WHERE attrelid IN (SELECT oid {public})"
                    " ORDER BY attrelid::regclass::text, attnum"
                ),
                "rows": [
                    (name, rows(f"SELECT * FROM {self.quoted(name)}"))
                    for (name,) in rows(
                        f"SELECT relname {public} AND relkind IN ('r', 'v', 'S') ORDER BY 1"
                    )
                ],
                "database": rows(
                    "SELECT shobj_description(oid, 'pg_database'), (SELECT setconfig FROM"
                    " pg_db_role_setting WHERE setdatabase = oid) FROM pg_database"
                    " WHERE datname = current_database()"
                ),
            }


def mysql_reading(database: Database) -> dict[str, Any]:
    """Return all that a MySQL client can see in a database, by query."""
    with pymysql.connect(**database.connect_args("pymysql")) as connection:
        cursor = connection.cursor()

        def unnamed(text: object) -> str:
            return str(text).replace(database.database, "")

        def rows(query: str) -> list[dict[str, str]]:
            cursor.execute(query)
            names = [description[0] for description in cursor.description]
            made = {"CREATED", "LAST_ALTERED", "STARTS"}
            found = [zip(names, row, strict=True) for row in cursor]
            return [{unnamed(n): unnamed(x) for n, x in row if n not in made} for row in found]

        schema = (
            *(("columns", "table"), ("views", "table"), ("triggers", "trigger")),
            *(("routines", "routine"), ("events", "event")),
        )
        queries = [
            f"SELECT * FROM information_schema.{table} WHERE {thing}_schema = DATABASE()"
            for table, thing in schema
        ]
        queries += ["SHOW FULL TABLES", f"SHOW CREATE DATABASE `{database.database}`"]
        cursor.execute(
            "SELECT table_name, GROUP_CONCAT('`', REPLACE(column_name, '`', '``'), '`',"
            " IF(data_type IN ('float', 'double'), ' * 1e0', '') ORDER BY ordinal_position)"
            " FROM information_schema.columns WHERE table_schema = DATABASE() GROUP BY table_name"
        )
        for name, fields in cursor.fetchall():
            queries.append(f"SELECT {fields} FROM `{name.replace('`', '``')}`")
        return {unnamed(query): sorted_by_place(query, rows(query)) for query in queries}


def sorted_by_place(query: str, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return rows of the schema in an order of their own; those of tables as they came."""
    return sorted(rows, key=str) if "information_schema" in query else rows


def mongodb_reading(database: Database) -> dict[str, Any]:
    """Return the documents of each collection, byte by byte, their order, options and indexes."""
    raw: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
    client: Any = pymongo.MongoClient(database.url)
    with client:
        named = client[database.database]
        return {
            name: (
                [one.raw for one in named.get_collection(name, codec_options=raw).find()],
                named[name].options(),
                {} if name.startswith("system.") else named[name].index_information(),
            )
            for name in named.list_collection_names()
            if name != "system.views"
        }


_KEYS = st.sampled_from(["_id", "a", "b.c", "$d", "", "2", "1", "größe 日本"])
_SCALARS = st.one_of(
    *(WHOLE, st.integers(-(2**63), 2**63 - 1).map(Int64), st.floats(), TEXTS, st.booleans()),
    *(st.none(), st.binary(max_size=9), st.just(Decimal128("1.10")), st.just(Regex("x", "x"))),
    *(st.just(Code("function() {}")), st.just(Timestamp(1, 2))),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=5,
)
_DOCUMENTS = st.builds(
    lambda key, rest: {**rest, "_id": key},
    WHOLE | TEXTS | st.none(),
    st.dictionaries(_KEYS, _VALUES, max_size=4),
)
_COLLECTIONS = st.sampled_from(["plain", "it's", "größe 日本", "a b", "dot.ted", "{database}", "-"])


class MongoContent(ContentContract):
    """Documents with odd names and values of all types."""

    contents = st.lists(
        st.tuples(
            st.sampled_from(["insert", "insert", "capped", "index"]), _COLLECTIONS, _DOCUMENTS
        ),
        min_size=1,
        max_size=6,
    )
    changes = st.lists(
        st.tuples(
            st.sampled_from(["insert", "again", "replace", "clear", "drop", "index", "refuse"]),
            *(_COLLECTIONS, _DOCUMENTS),
        ),
        max_size=5,
    )

    def write(self, database: Database, written: list[tuple[str, str, dict[str, Any]]]) -> None:
        with pymongo.MongoClient[dict[str, Any]](database.url) as client:
            for verb, name, document in written:
                collection = client[database.database][name]
                with suppress(PyMongoError, BSONError, TypeError):
                    _write_to(collection, verb, document)

    def read(self, database: Database) -> object:
        return mongodb_reading(database)


def _write_to(collection: Any, verb: str, document: dict[str, Any]) -> None:
    if verb == "insert":
        collection.insert_one(document)
    elif verb == "capped":
        collection.database.create_collection(collection.name, capped=True, size=8192, max=3)
        collection.insert_one(document)
    elif verb == "index":
        collection.create_index([("a", 1), ("größe 日本", -1)], sparse=True)
    elif verb == "again":
        collection.insert_one(collection.find_one_and_delete({}))
    elif verb == "replace":
        collection.replace_one({}, {"replaced": 1.0})
    elif verb == "clear":
        collection.delete_many({})
    elif verb == "refuse":
        collection.database.command("collMod", collection.name, validator={"x": {"$gt": 1.0}})
    else:
        collection.drop()


class RedisContent(ContentContract):
    """Keys of all types, any bytes."""

    contents = changes = st.lists(
        st.tuples(
            st.sampled_from(["set", "lpush", "sadd", "hset", "zadd", "xadd", "delete", "expire"]),
            *(st.binary(max_size=9), st.binary(max_size=40)),
        ),
        max_size=9,
    )

    def write(self, database: Database, written: list[tuple[str, bytes, bytes]]) -> None:
        with redis.Redis.from_url(database.url) as client:
            for verb, key, value in written:
                arguments: dict[str, tuple[Any, ...]] = {
                    "delete": (key,),
                    "expire": (key, 1000),
                    "hset": (key, value, key),
                    "zadd": (key, {value: 0.1 * len(value)}),
                    "xadd": (key, {value: key}),
                }
                with suppress(redis.ResponseError):
                    getattr(client, verb)(*arguments.get(verb, (key, value)))

    def read(self, database: Database) -> object:
        with redis.Redis.from_url(database.url) as client:
            return {key: (*_value(client, key), client.ttl(key) >= 0) for key in client.scan_iter()}


def _value(client: Any, key: bytes) -> tuple[bytes, object]:
    kind = client.type(key)
    readers = {
        b"string": client.get,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"hash": client.hgetall,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"stream": client.xrange,
    }
    return kind, readers[kind](key)
