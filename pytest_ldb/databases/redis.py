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
    drop=(*_CLIENT, "-n", "{database}", "FLUSHDB"),
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
