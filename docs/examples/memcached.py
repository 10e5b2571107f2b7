from pytest_ldb import Addresses, DatabaseType, Exchange

MEMCACHED = DatabaseType(
    name="memcached",
    image="memcached:1.6",
    port=11211,
    ready=Exchange(send=b"version\r\n", ready=b"VERSION "),
    addresses=Addresses(
        url="memcached://{host}:{port}",
        drivers={"aiomcache": {"host": "{host}", "port": "{port}"}},
        env={"MEMCACHED_HOST": "{host}", "MEMCACHED_PORT": "{port}"},
    ),
)


def pytest_ldb_database_types():
    return [MEMCACHED]
