def test_the_image(ldb_redis):
    assert ldb_redis.instance.image.endswith("redis:8")
