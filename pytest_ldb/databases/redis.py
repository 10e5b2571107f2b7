"""Redis; its databases have numbers."""

from ..model.database_type import DatabaseType, Exchange

_DATABASES = 1024
_CLIENT = ("redis-cli", "-h", "{host}", "-p", "{port}")

# A number that somebody left things in is not handed out, so nobody's data is ever flushed.
_CLAIM = """
size=$(redis-cli -h "$1" -p "$2" -n "$3" DBSIZE) || exit
case $size in
  0) ;;
  *[!0-9]*) echo "$size"; exit 1 ;;
  *) echo "database $3 holds $size keys of somebody"; exit 3 ;;
esac
"""

# In a script `SELECT` lasts as long as the script. COPY keeps values of every kind, and how long
# they have to live (Redis 6.2).
_COPY = (
    "redis.call('SELECT', ARGV[1]) for _, key in ipairs(redis.call('KEYS', '*')) do "
    "redis.call('COPY', key, key, 'DB', ARGV[2]) end"
)
# Only in this mode does it say with its exit status that a command failed.
_LOAD = 'redis-cli -h "$1" -p "$2" -n "$3" --pipe <"$4"'

REDIS = DatabaseType(
    name="redis",
    image="redis:8",
    port=6379,
    # `-NOAUTH` is the answer of a server that is up and wants its password; `-LOADING` is not.
    ready=Exchange(send=b"PING\r\n", ready=rb"\+PONG|-NOAUTH"),
    user="default",
    initial_database="0",
    program="redis-server",
    arguments=("--requirepass", "{password}", "--databases", str(_DATABASES)),
    tuning=("--save", "", "--appendonly", "no"),
    client_environment={"REDISCLI_AUTH": "{password}"},
    client=_CLIENT,
    client_mark="ECHO {mark}",
    terminal=(*_CLIENT, "-n", "{database}"),
    create=("sh", "-c", _CLAIM, "sh", "{host}", "{port}", "{database}"),
    clone=f'EVAL "{_COPY}" 0 {{template}} {{database}}',
    drop="EVAL \"redis.call('SELECT', ARGV[1]) redis.call('FLUSHDB')\" 0 {database}",
    load=("sh", "-c", _LOAD, "sh", "{host}", "{port}", "{database}", "{file}"),
    numbered_databases=_DATABASES,
    url="redis://{user}:{password}@{host}:{port}/{database}",
    driver_keywords={
        "host": "{host}",
        "port": "{port}",
        "username": "{user}",
        "password": "{password}",
        "db": "{database}",
    },
    variables={"REDIS_URL": "redis://{user}:{password}@{host}:{port}/{database}"},
)
