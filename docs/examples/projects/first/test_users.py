import psycopg


def test_a_user_is_stored(ldb_postgres):
    with psycopg.connect(ldb_postgres.url) as connection:
        connection.execute("CREATE TABLE users (name text)")
        connection.execute("INSERT INTO users VALUES ('ada')")
        users = connection.execute("SELECT name FROM users").fetchall()

    assert users == [("ada",)]
