"""MySQL."""

from ..core.types import DatabaseType, Exchange

# The server speaks first: a packet (3 bytes length, 1 byte number) whose content begins with the
# protocol's version, 10 (MySQL internals, "Protocol::HandshakeV10"). 0xff there is an error.
_GREETING = rb".{3}\x00\x0a"

_CLIENT = ("--host={host}", "--port={port}", "--user={user}")

# Positional parameters keep names out of the script.
_DUMP = """
options="--host=$1 --port=$2 --user=$3"
dump() {
  mysqldump $options --single-transaction --routines --triggers --events --no-tablespaces \
    --set-gtid-purged=OFF "$1"
}
"""
# The dump of a database that will not change any more is kept beside the shells.
_SEAL = _DUMP + 'dump "$4" >"$LDB_HOME/$4.new" && mv "$LDB_HOME/$4.new" "$LDB_HOME/$4.sql"'
_CLONE = (
    _DUMP
    + """
mysql $options --execute="CREATE DATABASE \\`$5\\`"
if [ -e "$LDB_HOME/$4.sql" ]; then
  mysql $options "$5" <"$LDB_HOME/$4.sql"
else
  { dump "$4" || echo "mysqldump failed, so this is no SQL;"; } | mysql $options "$5"
fi
"""
)
# A connection in the middle of a transaction would keep the database from being dropped.
_DROP = """
options="--host=$1 --port=$2 --user=$3"
mysql $options --skip-column-names --execute="SELECT CONCAT('KILL ', id, ';')
  FROM information_schema.processlist WHERE db = '$4'" | mysql $options --force
mysql $options --execute="DROP DATABASE IF EXISTS \\`$4\\`"
"""
_LOAD = 'mysql --host="$1" --port="$2" --user="$3" "$4" <"$5"'
_PLACE = ("sh", "{host}", "{port}", "{user}")

MYSQL = DatabaseType(
    name="mysql",
    image="mysql:9.7",
    port=3306,
    ready=Exchange(send=b"", ready=_GREETING),
    user="root",
    initial_database="ldb",
    program="mysqld",
    tuning=(
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-doublewrite=OFF",
        "--skip-log-bin",
        "--mysqlx=OFF",
        "--performance-schema=OFF",
        "--innodb-redo-log-capacity=8M",
        "--max-connections=300",
    ),
    credential_environment={"MYSQL_ROOT_PASSWORD": "{password}", "MYSQL_DATABASE": "{database}"},
    environment={"MYSQL_INITDB_SKIP_TZINFO": "1"},
    init_directory="/docker-entrypoint-initdb.d",
    client_environment={"MYSQL_PWD": "{password}"},
    create=("mysql", *_CLIENT, "--execute=CREATE DATABASE `{database}`"),
    clone=("sh", "-ec", _CLONE, *_PLACE, "{template}", "{database}"),
    drop=("sh", "-ec", _DROP, *_PLACE, "{database}"),
    load=("sh", "-ec", _LOAD, *_PLACE, "{database}", "{file}"),
    seal=("sh", "-ec", _SEAL, *_PLACE, "{database}"),
    longest_database_name=64,
    url="mysql://{user}:{password}@{host}:{port}/{database}",
    dialect="mysql",
    driver_keywords={
        "host": "{host}",
        "port": "{port}",
        "user": "{user}",
        "password": "{password}",
        "database": "{database}",
    },
    variables={
        "MYSQL_HOST": "{host}",
        "MYSQL_TCP_PORT": "{port}",
        "MYSQL_USER": "{user}",
        "MYSQL_PWD": "{password}",
        "MYSQL_DATABASE": "{database}",
    },
)
