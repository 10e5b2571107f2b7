"""A server that a test has to itself, to stop and start."""

import pytest
import redis


@pytest.fixture
def server(ldb):
    server = ldb.create("redis")
    yield server
    ldb.delete(server)


def test_a_client_survives_an_outage(ldb, server):
    with redis.Redis.from_url(ldb.database(server).url) as client:
        assert client.ping()

        ldb.stop(server)
        assert ldb.status(server) == "stopped"
        with pytest.raises(redis.ConnectionError):
            client.ping()

    server = ldb.start(server)
    with redis.Redis.from_url(ldb.database(server).url) as client:
        assert client.ping()
