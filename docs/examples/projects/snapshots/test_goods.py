import psycopg


def run(database, statement):
    with psycopg.connect(database.url) as connection:
        return connection.execute(statement)


def count(database):
    with psycopg.connect(database.url) as connection:
        return connection.execute("SELECT count(*) FROM goods").fetchone()[0]


def test_every_way_to_lose_goods(ldb_postgres_db):
    run(ldb_postgres_db, "CREATE TABLE goods AS SELECT * FROM generate_series(1, 3)")
    full = ldb_postgres_db.snapshot()

    for loss in ("DELETE FROM goods", "TRUNCATE goods"):
        run(ldb_postgres_db, loss)
        assert count(ldb_postgres_db) == 0
        ldb_postgres_db.restore(full)
        assert count(ldb_postgres_db) == 3
