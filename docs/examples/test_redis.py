"""Redis, with redis-py."""

import pytest
import redis


@pytest.fixture
def client(ldb_redis):
    with redis.Redis.from_url(ldb_redis.url, decode_responses=True) as client:
        yield client
        client.flushdb()


def test_a_value_comes_back(client):
    client.set("name", "ada")

    assert client.get("name") == "ada"


def test_each_test_begins_with_no_keys(client):
    assert client.dbsize() == 0
