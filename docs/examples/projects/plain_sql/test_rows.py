import psycopg
import pymysql


def test_all_users_can_be_deleted(ldb_postgres_db):
    with psycopg.connect(ldb_postgres_db.url) as connection:
        assert connection.execute("DELETE FROM users").rowcount == 1


def test_the_admin_is_there(ldb_postgres_db):
    with psycopg.connect(ldb_postgres_db.url) as connection:
        assert connection.execute("SELECT name FROM users").fetchall() == [("admin",)]


def test_everything_is_sold(ldb_mysql_db):
    arguments = ldb_mysql_db.connect_args("pymysql")
    with pymysql.connect(**arguments) as connection, connection.cursor() as cursor:
        assert cursor.execute("DELETE FROM goods") == 1
        connection.commit()


def test_there_is_tea(ldb_mysql_db):
    arguments = ldb_mysql_db.connect_args("pymysql")
    with pymysql.connect(**arguments) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT name FROM goods")
        assert cursor.fetchall() == (("tea",),)
