"""PostgreSQL, and what is built on its image (PostGIS, pgvector, TimescaleDB)."""

import struct

from ..core.types import DatabaseType, Exchange

# StartupMessage, protocol 3.0 (PostgreSQL documentation, "Message Formats"): length, version,
# parameters. The answer is `R` (authentication request) from a server that takes connections, and
# `E` (error, 57P03) from one that is starting up.
_PARAMETERS = b"user\0postgres\0database\0postgres\0\0"
_STARTUP = struct.pack("!ii", 8 + len(_PARAMETERS), 196608) + _PARAMETERS

_DISCONNECT = (
    "--command=SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
)

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
    credential_environment={
        "POSTGRES_USER": "{user}",
        "POSTGRES_PASSWORD": "{password}",
        "POSTGRES_DB": "{database}",
    },
    environment={"POSTGRES_INITDB_ARGS": "--no-sync"},
    init_directory="/docker-entrypoint-initdb.d",
    # On Debian `createdb` and its like are wrappers in Perl that take 35 ms to find the real ones.
    client_profile='d=/usr/lib/postgresql/${PG_MAJOR:-0}/bin; [ -d "$d" ] && PATH=$d:$PATH',
    client_environment={"PGUSER": "{user}", "PGPASSWORD": "{password}", "PGDATABASE": "postgres"},
    create=("createdb", "{database}"),
    clone=("createdb", "--template={template}", "--strategy=file_copy", "{database}"),
    drop=("dropdb", "--force", "--if-exists", "{database}"),
    load=("psql", "-qXv", "ON_ERROR_STOP=1", "--dbname={database}", "--file={file}"),
    # A database that somebody is connected to cannot be copied; setups leave connections behind.
    seal=(
        "psql",
        "-qX",
        "--command=ALTER DATABASE {database} ALLOW_CONNECTIONS false",
        _DISCONNECT,
    ),
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
