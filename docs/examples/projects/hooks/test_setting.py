import psycopg


def test_slow_statements_are_logged(ldb_postgres):
    with psycopg.connect(ldb_postgres.url) as connection:
        (value,) = connection.execute("SHOW log_min_duration_statement").fetchone()

    assert value == "100ms"
