"""MySQL."""

from ..model.database_type import DatabaseType, Exchange

# The server speaks first: a packet (3 bytes length, 1 byte number) whose content begins with the
# protocol's version, 10 (MySQL internals, "Protocol::HandshakeV10"). 0xff there is an error.
_GREETING = rb".{3}\x00\x0a"

# Written once for all processes, in whatever order they come.
_EXPORT = """
[ -e "$LDB_HOME/$4.sql" ] ||
  { mysqldump --host="$1" --port="$2" --user="$3" --single-transaction --routines --triggers \\
    --events --no-tablespaces --skip-comments --set-gtid-purged=OFF "$4" >"$LDB_HOME/$4.$$" &&
    mv "$LDB_HOME/$4.$$" "$LDB_HOME/$4.sql"; }
"""
# The digest of a table does not depend on the order of its rows. `CHECKSUM TABLE` would miss many
# changes that exchange bits between rows. The split braces are for the database to be inspected.
_SURVEY = """
SET group_concat_max_len = 1000000000;
SELECT CONCAT(IF(table_type = 'VIEW', 'SHOW CREATE VIEW', 'SHOW CREATE TABLE'),
    ' `{', 'database}`.`', table_name, '`;')
  FROM information_schema.tables WHERE table_schema = '{database}';
SELECT COALESCE(CONCAT(GROUP_CONCAT(digest SEPARATOR ' UNION ALL '), ';'), '') FROM (
  SELECT CONCAT('SELECT ''', table_name, ''', COUNT(*), SUM(CAST(CONV(LEFT(SHA2(CONCAT_WS('','',',
    GROUP_CONCAT(CONCAT('QUOTE(CAST(`', column_name, '` AS BINARY))')),
    '), 256), 15), 16, 10) AS UNSIGNED)) FROM `{', 'database}`.`', table_name, '`') AS digest
  FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
  WHERE table_schema = '{database}' AND table_type = 'BASE TABLE' GROUP BY table_name) AS digests;
SELECT CONCAT('SHOW CREATE DATABASE `{', 'database}`; SHOW FULL TABLES FROM `{', 'database}`; ',
  'SHOW TRIGGERS FROM `{', 'database}`; SHOW EVENTS FROM `{', 'database}`; ',
  'SELECT routine_name, last_altered, SHA2(routine_definition, 256) ',
  'FROM information_schema.routines WHERE routine_schema = ''{', 'database}'';');
"""
_LOAD = 'mysql --host="$1" --port="$2" --user="$3" "$4" <"$5"'
# Positional parameters keep names out of the script.
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
    # It says nothing of statements that failed.
    log_entry=r"(?P<time>\d{4}-\d\d-\d\dT[\d:.]+)Z \d+ \[(?:.* to db: '(?P<database>.*?)')?",
    credential_environment={"MYSQL_ROOT_PASSWORD": "{password}", "MYSQL_DATABASE": "{database}"},
    environment={"MYSQL_INITDB_SKIP_TZINFO": "1"},
    init_directory="/docker-entrypoint-initdb.d",
    cached=True,
    client_environment={"MYSQL_PWD": "{password}"},
    # From 9.7 on `source` must be allowed; older clients only warn of the option.
    client=(
        *("mysql", "--host={host}", "--port={port}", "--user={user}"),
        *("--batch", "--skip-column-names", "--unbuffered", "--loose-commands"),
    ),
    client_mark="SELECT '{mark}';",
    terminal=("mysql", "--host={host}", "--port={port}", "--user={user}", "{database}"),
    create="CREATE DATABASE `{database}`;",
    clone="CREATE DATABASE `{database}`; USE `{database}`;\nsource {template}.sql",
    # A connection in the middle of a transaction would keep the database from being dropped.
    disconnect=(
        "SELECT CONCAT('KILL ', id, ';') FROM information_schema.processlist "
        "WHERE db = '{database}' AND id <> CONNECTION_ID();"
    ),
    drop="SET lock_wait_timeout = 10; DROP DATABASE IF EXISTS `{database}`;",
    load=("sh", "-ec", _LOAD, *_PLACE, "{database}", "{file}"),
    export=("sh", "-ec", _EXPORT, *_PLACE, "{database}"),
    unseal=("sh", "-ec", 'rm -f "$LDB_HOME/$1.sql"', "sh", "{database}"),
    survey=_SURVEY,
    repair=(
        "SET foreign_key_checks = 0; TRUNCATE `{database}`.`{thing}`; "
        "INSERT INTO `{database}`.`{thing}` SELECT * FROM `{template}`.`{thing}`;"
    ),
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
