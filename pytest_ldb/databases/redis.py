"""Redis; its databases have numbers."""

from ..core.types import DatabaseType, Exchange

_DATABASES = 256
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

# COPY keeps values of every kind and their time to live (Redis 6.2); one call copies them all.
_COPY = """
redis-cli -h "$1" -p "$2" -n "$4" EVAL "
  for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('COPY', key, key, 'DB', ARGV[1]) end
" 0 "$3"
"""
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
    create=("sh", "-c", _CLAIM, "sh", "{host}", "{port}", "{database}"),
    clone=("sh", "-c", _CLAIM + _COPY, "sh", "{host}", "{port}", "{database}", "{template}"),
    drop=(*_CLIENT, "-n", "{database}", "FLUSHDB"),
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
