"""Redis; its databases have numbers."""

from ..model.database_type import (
    Addresses,
    ClientProgram,
    DatabaseType,
    Exchange,
    Operations,
    ServerProgram,
)
from .scripts import script

# The default, 16, is less than a database for each test that runs at a time, and spare ones.
_DATABASES = 1024
_CLIENT = ("redis-cli", "-h", "{host}", "-p", "{port}")
_URL = "redis://{user}:{password}@{host}:{port}/{database}"

# In a script `SELECT` lasts as long as the script. COPY keeps values of every type, and how long
# they have to live (Redis 6.2).
_COPY = (
    "redis.call('SELECT', ARGV[1]) for _, key in ipairs(redis.call('KEYS', '*')) do "
    "redis.call('COPY', key, key, 'DB', ARGV[2]) end"
)
# Only with `--pipe` does the exit status of redis-cli say that a command failed.
_LOAD = 'redis-cli -h "$1" -p "$2" -n "$3" --pipe <"$4"'

_ARGUMENTS = {
    "host": "{host}",
    "port": "{port}",
    "username": "{user}",
    "password": "{password}",
    "db": "{database}",
}

REDIS = DatabaseType(
    name="redis",
    image="redis:8",
    port=6379,
    # `-NOAUTH` is the answer of a server that is up and wants its password; `-LOADING` is not.
    ready=Exchange(send=b"PING\r\n", ready=rb"\+PONG|-NOAUTH"),
    server=ServerProgram(
        user="default",
        initial_database="0",
        program="redis-server",
        arguments=("--requirepass", "{password}", "--databases", str(_DATABASES)),
        # Write neither RDB nor AOF files.
        tuning=("--save", "", "--appendonly", "no"),
        numbered_databases=_DATABASES,
    ),
    client=ClientProgram(
        argv=_CLIENT,
        mark="ECHO {mark}",
        terminal=(*_CLIENT, "-n", "{database}"),
        environment={"REDISCLI_AUTH": "{password}"},
    ),
    operations=Operations(
        create=("sh", "-c", script("redis_claim.sh"), "sh", "{host}", "{port}", "{database}"),
        clone=f'EVAL "{_COPY}" 0 {{template}} {{database}}',
        drop="EVAL \"redis.call('SELECT', ARGV[1]) redis.call('FLUSHDB')\" 0 {database}",
        load=("sh", "-c", _LOAD, "sh", "{host}", "{port}", "{database}", "{file}"),
        # In a line, or in the form of the protocol.
        leaves=r"(?mi)^[ \t]*SELECT(?:[ \t]+|\r\n\$\d+\r\n)(?P<database>\d+)",
    ),
    addresses=Addresses(
        url=_URL,
        drivers={"redis": _ARGUMENTS, "valkey": _ARGUMENTS},
        env={"REDIS_URL": _URL},
    ),
)
