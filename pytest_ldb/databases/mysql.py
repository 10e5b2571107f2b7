"""MySQL."""

from ..model.database_type import (
    Addresses,
    ClientProgram,
    DatabaseType,
    Exchange,
    LogFormat,
    Operations,
    Reset,
    ServerProgram,
)
from .scripts import script

# The server speaks first: a packet (3 bytes length, 1 byte number) whose content begins with the
# protocol's version, 10 (MySQL internals, "Protocol::HandshakeV10"). 0xff there is an error.
_GREETING = rb".{3}\x00\x0a"

# Otherwise clients take what the locale says, which in a container is Latin-1.
_CHARACTERS = "--default-character-set=utf8mb4"

_LOAD = f'mysql --host="$1" --port="$2" --user="$3" {_CHARACTERS} "$4" <"$5"'
# Positional parameters keep names out of the script.
_PLACE = ("sh", "{host}", "{port}", "{user}")

_LOGIN = {
    "host": "{host}",
    "port": "{port}",
    "user": "{user}",
    "password": "{password}",
}
_DATABASE = {**_LOGIN, "database": "{database}"}

MYSQL = DatabaseType(
    name="mysql",
    image="mysql:9.7",
    port=3306,
    ready=Exchange(send=b"", ready=_GREETING),
    # Loading the tables of time zones would slow down the first start.
    environment={"MYSQL_INITDB_SKIP_TZINFO": "1"},
    server=ServerProgram(
        user="root",
        initial_database="ldb",
        program="mysqld",
        tuning=(
            # Write the log once a second, not at each commit, and pages once instead of twice.
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-doublewrite=OFF",
            # There are no replicas.
            "--skip-log-bin",
            "--mysqlx=OFF",
            # These take memory, of which each server has its own.
            "--performance-schema=OFF",
            "--innodb-redo-log-capacity=8M",
            # The default, 151, is low for many workers with connection pools.
            "--max-connections=300",
        ),
        credential_environment={
            "MYSQL_ROOT_PASSWORD": "{password}",
            "MYSQL_DATABASE": "{database}",
        },
        init_directory="/docker-entrypoint-initdb.d",
        cached=True,
        longest_database_name=64,
    ),
    client=ClientProgram(
        # From 9.7 on `source` must be allowed; older clients only warn of the option.
        argv=(
            *("mysql", "--host={host}", "--port={port}", "--user={user}"),
            *("--batch", "--skip-column-names", "--unbuffered", "--loose-commands"),
            _CHARACTERS,
        ),
        mark="SELECT '{mark}';",
        terminal=(
            *("mysql", "--host={host}", "--port={port}", "--user={user}"),
            *(_CHARACTERS, "{database}"),
        ),
        environment={"MYSQL_PWD": "{password}"},
    ),
    operations=Operations(
        create="CREATE DATABASE `{database}`;",
        clone="CREATE DATABASE `{database}`; USE `{database}`;\nsource {template}.sql",
        drop="SET lock_wait_timeout = 10; DROP DATABASE IF EXISTS `{database}`;",
        # A connection in the middle of a transaction would keep the database from being dropped.
        disconnect=(
            "SELECT CONCAT('KILL ', id, ';') FROM information_schema.processlist "
            "WHERE db = '{database}' AND id <> CONNECTION_ID();"
        ),
        load=("sh", "-ec", _LOAD, *_PLACE, "{database}", "{file}"),
        leaves=r"(?mi)(?:^|;)[ \t]*USE[ \t]+(?P<database>`[^`\n]+`|[^\s;`]+)[ \t\r]*(?:;|$)",
        export=(
            *("sh", "-c", script("mysql_export.sh"), *_PLACE, "{database}"),
            *(script("mysql_collation.sql"), script("mysql_rows.sql")),
        ),
        unseal=("sh", "-ec", 'rm -f "$LDB_HOME/$1.sql"', "sh", "{database}"),
    ),
    reset=Reset(
        inspect=script("mysql_inspect.sql"),
        survey=script("mysql_survey.sql"),
        repair=script("mysql_repair.sql"),
    ),
    # The server writes nothing about statements that failed.
    log=LogFormat(
        entry=r"(?P<time>\d{4}-\d\d-\d\dT[\d:.]+)Z \d+ \[(?:.* to db: '(?P<database>.*?)')?"
    ),
    addresses=Addresses(
        url="mysql://{user}:{password}@{host}:{port}/{database}",
        dialect="mysql",
        drivers={
            "PyMySQL": _DATABASE,
            "mysqlclient": _DATABASE,
            "mysql-connector": _DATABASE,
            "aiomysql": {**_LOGIN, "db": "{database}"},
            "asyncmy": _DATABASE,
        },
        env={
            "MYSQL_HOST": "{host}",
            "MYSQL_TCP_PORT": "{port}",
            "MYSQL_USER": "{user}",
            "MYSQL_PWD": "{password}",
            "MYSQL_DATABASE": "{database}",
        },
    ),
)
