import psycopg


def test_cart(ldb_postgres_db):
    with psycopg.connect(ldb_postgres_db.url) as connection:
        connection.execute("CREATE TABLE cart AS SELECT 1 AS hats")

    with psycopg.connect(ldb_postgres_db.url) as connection:
        assert connection.execute("SELECT hats FROM cart").fetchone() == (2,)
