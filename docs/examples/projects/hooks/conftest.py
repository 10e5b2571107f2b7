import psycopg


def pytest_ldb_instance_ready(config, instance):
    if instance.database_type == "postgres":
        with psycopg.connect(
            host=instance.address.host,
            port=instance.address.port,
            user=instance.credentials.user,
            password=instance.credentials.password,
            autocommit=True,
        ) as connection:
            connection.execute("ALTER SYSTEM SET log_min_duration_statement = '100ms'")
            connection.execute("SELECT pg_reload_conf()")
