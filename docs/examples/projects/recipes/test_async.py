import asyncio

import psycopg


def test_a_query(ldb_postgres):
    async def query():
        arguments = ldb_postgres.connect_args("psycopg")
        async with await psycopg.AsyncConnection.connect(**arguments) as connection:
            cursor = await connection.execute("SELECT 1")
            return await cursor.fetchone()

    assert asyncio.run(query()) == (1,)
