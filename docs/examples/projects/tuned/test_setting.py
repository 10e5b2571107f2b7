import psycopg


def test_transactions_are_serializable(ldb_postgres):
    with psycopg.connect(ldb_postgres.url) as connection:
        (level,) = connection.execute("SHOW transaction_isolation").fetchone()

    assert level == "serializable"
