import redis


def test_valkey_answers(ldb_valkey):
    with redis.Redis.from_url(ldb_valkey.url) as client:
        assert client.ping()
