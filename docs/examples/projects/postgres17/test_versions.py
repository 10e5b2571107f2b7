import psycopg
import pytest


@pytest.fixture(params=["ldb_postgres", "ldb_postgres17"])
def connection(request):
    with psycopg.connect(request.getfixturevalue(request.param).url) as connection:
        yield connection


def test_merge(connection):
    connection.execute("CREATE TEMPORARY TABLE stock (item text, number int)")
    connection.execute(
        "MERGE INTO stock USING (VALUES ('pen')) AS new (item) ON stock.item = new.item"
        " WHEN NOT MATCHED THEN INSERT VALUES (new.item, 1)"
    )

    assert connection.execute("SELECT item, number FROM stock").fetchall() == [("pen", 1)]
