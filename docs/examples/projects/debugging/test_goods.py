import psycopg


def test_missing(ldb_postgres):
    with psycopg.connect(ldb_postgres.url) as connection:
        connection.execute("SELECT count(*) FROM goods")
