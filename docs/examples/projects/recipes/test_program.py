import os
import subprocess
import sys

PROGRAM = "import psycopg; print(psycopg.connect().execute('SELECT 1').fetchone()[0])"


def test_a_program_finds_the_database(ldb_postgres):
    environment = os.environ | ldb_postgres.env

    answer = subprocess.check_output([sys.executable, "-c", PROGRAM], env=environment, text=True)

    assert answer == "1\n"
