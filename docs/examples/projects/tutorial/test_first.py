import psycopg


def test_a_row_comes_back(ldb_postgres):
    with psycopg.connect(ldb_postgres.url) as connection:
        connection.execute("CREATE TABLE greeting (text text)")
        connection.execute("INSERT INTO greeting VALUES ('hello')")
        rows = connection.execute("SELECT text FROM greeting").fetchall()
        connection.rollback()

    assert rows == [("hello",)]
