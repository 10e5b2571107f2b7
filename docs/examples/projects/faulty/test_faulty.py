def test_that_cannot_begin(ldb_postgres):
    assert ldb_postgres.url
