"""PostgreSQL, and what is built on its image (PostGIS, pgvector, TimescaleDB)."""

import struct

from ..model.database_type import (
    Addresses,
    ClientProgram,
    DatabaseType,
    Exchange,
    LogFormat,
    Operations,
    ServerProgram,
)
from .scripts import line, script

# StartupMessage, protocol 3.0 (PostgreSQL documentation, "Message Formats"): length, version,
# parameters. The answer is `R` (authentication request) from a server that takes connections, and
# `E` (error, 57P03) from one that is starting up.
_PARAMETERS = b"user\0postgres\0database\0postgres\0\0"
_STARTUP = struct.pack("!ii", 8 + len(_PARAMETERS), 196608) + _PARAMETERS

_LOGIN = {
    "host": "{host}",
    "port": "{port}",
    "user": "{user}",
    "password": "{password}",
}
_LIBPQ = {**_LOGIN, "dbname": "{database}"}
_OTHERS = {**_LOGIN, "database": "{database}"}

# Several processes close the database that they copy. Without the lock, the server answers "tuple
# concurrently updated" to all but one of them. Its number is arbitrary.
_ALLOW_CONNECTIONS = (
    "DO $$ BEGIN PERFORM pg_advisory_xact_lock(5432); "
    'ALTER DATABASE "{{database}}" ALLOW_CONNECTIONS {word}; END $$;'
)

POSTGRES = DatabaseType(
    name="postgres",
    aliases=("postgresql", "pg"),
    image="postgres:18",
    port=5432,
    ready=Exchange(send=_STARTUP, ready=b"R"),
    # New data need not reach the disk before the server starts.
    environment={"POSTGRES_INITDB_ARGS": "--no-sync"},
    server=ServerProgram(
        user="postgres",
        # Not `postgres`: a database that clients are connected to cannot be copied.
        initial_database="ldb",
        program="postgres",
        # The default prefix of lines, and the database, which `log.entry` reads.
        arguments=("-c", "log_line_prefix=%m [%p] %q[%d] ", "-c", "log_timezone=UTC"),
        tuning=(
            # PostgreSQL documentation, "Non-Durable Settings".
            *("-c", "fsync=off"),
            *("-c", "synchronous_commit=off"),
            *("-c", "full_page_writes=off"),
            # Its workers connect to databases at any time, which then cannot be copied.
            *("-c", "autovacuum=off"),
            # The default, 100, is low for many workers with connection pools.
            *("-c", "max_connections=300"),
        ),
        credential_environment={
            "POSTGRES_USER": "{user}",
            "POSTGRES_PASSWORD": "{password}",
            "POSTGRES_DB": "{database}",
        },
        init_directory="/docker-entrypoint-initdb.d",
        cached=True,
    ),
    client=ClientProgram(
        argv=("psql", "-qAtX"),
        mark="\\echo {mark}",
        terminal=("psql", "--dbname={database}"),
        environment={
            "PGUSER": "{user}",
            "PGPASSWORD": "{password}",
            "PGDATABASE": "postgres",
            "PGAPPNAME": "pytest-ldb",
        },
        # On Debian `psql` and the other clients are wrappers in Perl, which take 35 ms to find
        # the real ones.
        profile='d=/usr/lib/postgresql/${PG_MAJOR:-0}/bin; [ -d "$d" ] && PATH=$d:$PATH',
    ),
    operations=Operations(
        create='CREATE DATABASE "{database}";',
        clone=script("postgres_clone.sql"),
        drop=line("postgres_drop.sql"),
        disconnect=script("postgres_disconnect.sql"),
        load=("psql", "-qXv", "ON_ERROR_STOP=1", "--dbname={database}", "--file={file}"),
        # `\connect - user` stays. In the data of COPY a backslash is followed by another one.
        leaves=r"(?m)^[ \t]*\\c(?:onnect)?[ \t]+(?!-\s)(?P<database>\S+)",
        # A database that clients are connected to cannot be copied, and programs connect again.
        seal=_ALLOW_CONNECTIONS.format(word="false"),
        unseal=_ALLOW_CONNECTIONS.format(word="true"),
    ),
    log=LogFormat(
        entry=r"(?P<time>\S+ \S+) UTC \[\d+\] (?:\[(?P<database>.*?)\] )?",
        # Copying a database begins and ends with a checkpoint.
        noise=r".*? LOG:  checkpoint (?:starting|complete): ",
    ),
    addresses=Addresses(
        url="postgresql://{user}:{password}@{host}:{port}/{database}",
        dialect="postgresql",
        drivers={"psycopg": _LIBPQ, "psycopg2": _LIBPQ, "asyncpg": _OTHERS, "pg8000": _OTHERS},
        env={
            "PGHOST": "{host}",
            "PGPORT": "{port}",
            "PGUSER": "{user}",
            "PGPASSWORD": "{password}",
            "PGDATABASE": "{database}",
        },
    ),
)
