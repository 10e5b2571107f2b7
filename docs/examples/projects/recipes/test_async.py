import asyncio

import psycopg


def test_a_query(ldb_postgres):
    async def query():
        async with await psycopg.AsyncConnection.connect(**ldb_postgres.libpq) as connection:
            cursor = await connection.execute("SELECT 1")
            return await cursor.fetchone()

    assert asyncio.run(query()) == (1,)
