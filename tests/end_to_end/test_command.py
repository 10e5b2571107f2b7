"""The command `pytest-ldb` on each real database: lifecycle and output formats."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pymongo
import pymysql
import pytest
import redis

from .command import User

KEYS = {
    *("id", "name", "database_type", "image", "status", "address", "created_at", "container"),
    *("project", "purpose", "processes", "in_memory", "volumes", "size_bytes"),
}
BOLD, GREEN, ESCAPE = "\x1b[1m", "\x1b[32m", "\x1b["


class Postgres:
    statement, wrong = "SELECT 40 + 2;\n", "SELEC 1;\n"
    stopping, status, errors_come_apart = ("-v", "ON_ERROR_STOP=1"), 3, True
    prompt, answer, leave = "ldb=#", "42", "\\q\r"
    form = "libpq"

    def write(self, url: str) -> None:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE thing (n int)")
            connection.execute("INSERT INTO thing VALUES (7)")

    def read(self, url: str) -> object:
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT n FROM thing").fetchone()
            return row and row[0]


class Mysql:
    statement, wrong = "SELECT 40 + 2;\n", "SELEC 1;\n"
    stopping, status, errors_come_apart = (), 1, True
    prompt, answer, leave = "mysql>", "42", "exit\r"
    form = "sqlalchemy"

    def write(self, url: str) -> None:
        with self._connection(url) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE thing (n int)")
            cursor.execute("INSERT INTO thing VALUES (7)")
            connection.commit()

    def read(self, url: str) -> object:
        with self._connection(url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT n FROM thing")
            row = cursor.fetchone()
            return row and row[0]

    def _connection(self, url: str) -> pymysql.Connection:
        place = psycopg.conninfo.conninfo_to_dict(url.replace("mysql:", "postgresql:"))
        return pymysql.connect(
            host=str(place["host"]),
            port=int(str(place["port"])),
            user=str(place["user"]),
            password=str(place["password"]),
            database=str(place["dbname"]),
        )


class Mongodb:
    statement, wrong = "print(40 + 2)\n", "throw new Error('wrong')\n"
    stopping, status, errors_come_apart = (), 1, True
    prompt, answer, leave = "ldb>", "42", "exit\r"
    form = "env"

    def write(self, url: str) -> None:
        with pymongo.MongoClient[dict[str, int]](url) as client:
            client.get_default_database()["thing"].insert_one({"n": 7})

    def read(self, url: str) -> object:
        with pymongo.MongoClient[dict[str, int]](url) as client:
            document = client.get_default_database()["thing"].find_one()
            return document and document["n"]


class Redis:
    statement, wrong = "EVAL 'return 40 + 2' 0\n", "NOTHING\n"
    # It writes errors to its standard output.
    stopping, status, errors_come_apart = ("-e", "NOTHING"), 1, False
    # The client handles Ctrl-C itself.
    prompt, answer, leave = ":6379> ", "(integer) 42", "\x03"
    form = "env"

    def write(self, url: str) -> None:
        with redis.Redis.from_url(url) as client:
            client.set("n", 7)

    def read(self, url: str) -> object:
        with redis.Redis.from_url(url) as client:
            return int(str(client.get("n"), "ascii"))


DatabaseClient = Postgres | Mysql | Mongodb | Redis
CLIENTS: dict[str, DatabaseClient] = {
    "postgres": Postgres(),
    "mysql": Mysql(),
    "mongodb": Mongodb(),
    "redis": Redis(),
}


@dataclass
class Served:
    """A user and its server, which has a volume of the same name."""

    user: User
    type: str
    name: str
    id: str

    @property
    def client(self) -> DatabaseClient:
        return CLIENTS[self.type]

    def url(self) -> str:
        return self.user.run("url", self.name).well().output.strip()


@pytest.fixture(scope="class", params=CLIENTS)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    user = User(tmp_path_factory.mktemp("state"))
    name = f"own-{user.mark}"
    try:
        user.create(request.param, f"--name={name}", f"--volume={name}")
        (server,) = user.json("list")
        yield Served(user, request.param, name, server["id"])
        done = user.run("delete", name, "--volumes").well()
        assert done.output == f"{name}\n"
        assert f"deleted volume {name}" in done.errors
        assert user.containers() == user.volumes() == []
    finally:
        user.clean_up()


class TestAServer:
    def test_stop_keeps_name_and_id_and_volume_outlives_delete(self, served: Served) -> None:
        user, client = served.user, served.client
        client.write(served.url())
        stopped = user.run("stop", served.name).well()
        assert (stopped.output, stopped.errors) == (f"{served.name}\n", "")
        stands = user.json("status", served.name)
        assert (stands["status"], stands["address"], stands["processes"]) == ("stopped", None, None)
        assert f"{served.name}: it is not running" in user.run("url", served.name).refused().errors
        assert (
            f"{served.name}: it is not running" in user.run("shell", served.name).refused().errors
        )
        assert f"{served.name}: ready on 127.0.0.1:" in user.run("start", served.name).well().errors
        assert user.json("status", served.name)["id"] == served.id
        assert client.read(served.url()) == 7

        again = f"{served.name}-again"
        deleted = user.run("delete", served.name).well()
        assert f"{served.name}: data kept in volume {served.name}" in deleted.errors
        assert user.containers() == []
        assert user.create(served.type, f"--name={again}", f"--volume={served.name}") == again
        assert client.read(user.run("url", again).well().output.strip()) == 7
        user.run("delete", again).well()
        user.create(served.type, f"--name={served.name}", f"--volume={served.name}")
        assert client.read(served.url()) == 7
        served.id = user.json("status", served.name)["id"]

    def test_restart_keeps_the_server(self, served: Served) -> None:
        done = served.user.run("restart", served.name).well()
        assert done.output == f"{served.name}\n"
        assert f"{served.name}: ready on 127.0.0.1:" in done.errors
        assert served.user.json("status", served.name)["id"] == served.id
        assert served.user.run("start", served.name).well().output == f"{served.name}\n"

    def test_list_output_for_programs(self, served: Served) -> None:
        user, image = served.user, os.environ[f"LDB_{served.type.upper()}_IMAGE"]
        (server,) = user.json("list")
        assert user.json("status", served.name).keys() == server.keys() == KEYS
        assert server["address"].keys() == {"host", "port"}
        assert (server["database_type"], server["image"]) == (served.type, image)
        assert (server["status"], server["purpose"]) == ("running", "standalone")
        assert (server["project"], server["processes"], server["in_memory"]) == (None, 0, False)
        assert all(volume.startswith(served.name) for volume in server["volumes"])
        assert server["size_bytes"] > 0
        (row,) = user.run("list").well().rows
        port = str(server["address"]["port"])
        assert row[:6] == [served.name, served.type, image, "running", port, "-"]
        assert row[7] == "standalone"
        facts = dict(user.run("status", served.name).well().rows)
        assert (facts["name"], facts["id"], facts["processes"]) == (served.name, served.id, "0")
        for command in ("list", f"status {served.name}", f"logs {served.name}"):
            assert ESCAPE not in user.run(*command.split()).well().output

    def test_list_output_on_a_terminal_is_a_coloured_table(self, served: Served) -> None:
        head, line, *_ = served.user.on_terminal("list").end().well().output.splitlines()
        words = ["NAME", "TYPE", "IMAGE", "STATUS", "PORT", "PROJECT", "AGE", "USE", "SIZE"]
        assert [word for word in words if word in head] == words
        assert head.startswith(BOLD)
        assert line.startswith(f"{served.name} ")
        assert f"{GREEN}running" in line
        facts = served.user.on_terminal("status", served.name).end().well().output
        assert f"{BOLD}status " in facts
        assert f"{GREEN}running" in facts

    def test_logs_command_prints_all_or_the_last_lines(self, served: Served) -> None:
        lines = served.user.run("logs", served.name).well().output.splitlines()
        assert len(lines) > 3
        assert len(served.user.run("logs", served.name, "--tail=2").well().output.splitlines()) == 2
        assert served.user.run("logs", served.name, "--tail=0").well().output == ""

    def test_url_and_env_formats(self, served: Served) -> None:
        url = served.url()
        told = json.loads(served.user.run("url", served.name, "--format=json").well().output)
        assert told["url"] == url
        assert told["password"] in url
        lines = served.user.run("url", served.name, "--format=env").well().output.splitlines()
        assert f"export DATABASE_URL={url}" in [line.replace("'", "") for line in lines]
        assert all(line.startswith("export ") for line in lines)
        if served.client.form == "libpq":
            text = served.user.run("url", served.name, "--format=libpq").well().output
            with psycopg.connect(text) as connection:
                assert connection.info.dbname == "ldb"
        else:
            served.user.run("url", served.name, "--format=libpq").refused(2)
        if served.client.form == "sqlalchemy":
            done = served.user.run("url", served.name, "--format=sqlalchemy", "--driver=aiomysql")
            assert done.well().output.startswith("mysql+aiomysql://")
        other = served.user.run("url", served.name, "--database=1").well().output
        assert "/1" in other

    def test_shell_command_reads_a_pipe_and_passes_the_exit_status(self, served: Served) -> None:
        client = served.client
        done = served.user.run("shell", served.name, given=client.statement).well()
        assert "42" in done.output
        assert ESCAPE not in done.output
        failed = served.user.run("shell", served.name, *client.stopping, given=client.wrong)
        assert failed.status == client.status
        if client.errors_come_apart:
            assert "error" in failed.errors.lower()
            assert "error" not in failed.output.lower()

    def test_shell_command_is_interactive_on_a_terminal(self, served: Served) -> None:
        client = served.client
        terminal = served.user.on_terminal("shell", served.name)
        terminal.wait_for(client.prompt)
        terminal.type(client.statement.replace("\n", "\r"))
        terminal.wait_for(client.answer)
        terminal.wait_for(client.prompt)
        terminal.type(client.leave)
        done = terminal.end()
        assert done.status == 0, done
