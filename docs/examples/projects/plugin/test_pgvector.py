import psycopg
from psycopg import sql
from pytest_ldb_pgvector import PGVECTOR

from pytest_ldb.testing import DatabaseTypeContract


class TestPgvector(DatabaseTypeContract):
    database_type = PGVECTOR
    script = ("fill.sql", "CREATE TABLE filled (x int)")
    refused = psycopg.OperationalError

    def add(self, database, name):
        with psycopg.connect(database.url) as connection:
            connection.execute(sql.SQL("CREATE TABLE {} (x int)").format(sql.Identifier(name)))

    def things(self, database):
        with psycopg.connect(database.url) as connection:
            query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            return {name for (name,) in connection.execute(query)}
