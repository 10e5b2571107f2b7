"""A server that a test has to itself, to stop and start."""

import pytest
import redis


@pytest.fixture
def server(ldb):
    with ldb.server("redis", command=["--maxmemory", "64mb"]) as server:
        yield server


def test_a_client_survives_an_outage(server):
    with redis.Redis.from_url(server.url) as client:
        assert client.ping()

        server.stop()
        with pytest.raises(redis.ConnectionError):
            client.ping()

    server.start()
    with redis.Redis.from_url(server.url) as client:
        assert client.ping()
