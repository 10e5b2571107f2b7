import psycopg
import pymysql


def users(database):
    with psycopg.connect(database.url) as connection:
        return connection.execute("SELECT name FROM users").fetchall()


def test_all_users_can_be_deleted(ldb_postgres_db):
    with psycopg.connect(ldb_postgres_db.url) as connection:
        connection.execute("DELETE FROM users")

    assert users(ldb_postgres_db) == []


def test_the_next_test_finds_the_admin(ldb_postgres_db):
    assert users(ldb_postgres_db) == [("admin",)]


def test_the_shop_is_empty(ldb_mysql_db):
    arguments = ldb_mysql_db.connect_args("pymysql")
    with pymysql.connect(**arguments) as connection, connection.cursor() as cursor:
        assert cursor.execute("SELECT * FROM goods") == 0
