import psycopg


def test_every_worker_begins_with_the_same_rows(ldb_postgres):
    with psycopg.connect(ldb_postgres.url) as connection:
        rows = connection.execute("SELECT code FROM country ORDER BY code").fetchall()

    assert rows == [("NO",), ("PE",)]
