"""PostgreSQL, and what is built on its image (PostGIS, pgvector, TimescaleDB)."""

import struct

from ..model.database_type import DatabaseType, Exchange

# StartupMessage, protocol 3.0 (PostgreSQL documentation, "Message Formats"): length, version,
# parameters. The answer is `R` (authentication request) from a server that takes connections, and
# `E` (error, 57P03) from one that is starting up.
_PARAMETERS = b"user\0postgres\0database\0postgres\0\0"
_STARTUP = struct.pack("!ii", 8 + len(_PARAMETERS), 196608) + _PARAMETERS

# It waits until they are gone (PostgreSQL 14); otherwise what comes next polls for that, at 0.1 s.
_DISCONNECT = """
DO $$ BEGIN
  PERFORM pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database}';
END $$;
"""

POSTGRES = DatabaseType(
    name="postgres",
    aliases=("postgresql", "pg"),
    image="postgres:18",
    port=5432,
    ready=Exchange(send=_STARTUP, ready=b"R"),
    user="postgres",
    # Not `postgres`: a database that clients connect to cannot be copied meanwhile.
    initial_database="ldb",
    program="postgres",
    tuning=(
        *("-c", "fsync=off"),
        *("-c", "synchronous_commit=off"),
        *("-c", "full_page_writes=off"),
        # Its workers visit databases at any time, which then cannot be copied.
        *("-c", "autovacuum=off"),
        *("-c", "max_connections=300"),
    ),
    # The usual beginning of lines, and the database.
    arguments=("-c", "log_line_prefix=%m [%p] %q[%d] ", "-c", "log_timezone=UTC"),
    log_entry=r"(?P<time>\S+ \S+) UTC \[\d+\] (?:\[(?P<database>.*?)\] )?",
    # Copies of databases begin and end with one.
    log_noise=r".*? LOG:  checkpoint (?:starting|complete): ",
    credential_environment={
        "POSTGRES_USER": "{user}",
        "POSTGRES_PASSWORD": "{password}",
        "POSTGRES_DB": "{database}",
    },
    environment={"POSTGRES_INITDB_ARGS": "--no-sync"},
    init_directory="/docker-entrypoint-initdb.d",
    cached=True,
    # On Debian `psql` and its like are wrappers in Perl that take 35 ms to find the real ones.
    client_profile='d=/usr/lib/postgresql/${PG_MAJOR:-0}/bin; [ -d "$d" ] && PATH=$d:$PATH',
    client_environment={
        "PGUSER": "{user}",
        "PGPASSWORD": "{password}",
        "PGDATABASE": "postgres",
        "PGAPPNAME": "pytest-ldb",
    },
    client=("psql", "-qAtX"),
    client_mark="\\echo {mark}",
    terminal=("psql", "--dbname={database}"),
    create='CREATE DATABASE "{database}";',
    # Files are copied; the other strategy writes every page to the log (PostgreSQL 15).
    clone='CREATE DATABASE "{database}" TEMPLATE "{template}" STRATEGY file_copy;',
    drop=('SET client_min_messages = error; DROP DATABASE IF EXISTS "{database}" WITH (FORCE);'),
    disconnect=_DISCONNECT,
    load=("psql", "-qXv", "ON_ERROR_STOP=1", "--dbname={database}", "--file={file}"),
    # A database that somebody is connected to cannot be copied; programs connect again.
    seal='ALTER DATABASE "{database}" ALLOW_CONNECTIONS false;',
    unseal='ALTER DATABASE "{database}" ALLOW_CONNECTIONS true;',
    url="postgresql://{user}:{password}@{host}:{port}/{database}",
    dialect="postgresql",
    driver_keywords={
        "host": "{host}",
        "port": "{port}",
        "user": "{user}",
        "password": "{password}",
        "database": "{database}",
    },
    libpq_keywords={
        "host": "{host}",
        "port": "{port}",
        "user": "{user}",
        "password": "{password}",
        "dbname": "{database}",
    },
    variables={
        "PGHOST": "{host}",
        "PGPORT": "{port}",
        "PGUSER": "{user}",
        "PGPASSWORD": "{password}",
        "PGDATABASE": "{database}",
    },
)
