-- Prepared transactions and subscriptions keep a database from being dropped, and can only be ended
-- from inside it; an active replication slot does too. psql reads this as one line.
SET client_min_messages = error;
SELECT current_database() AS home,
    (SELECT count(pg_terminate_backend(active_pid, 5000)) FROM pg_replication_slots
      WHERE database = '{database}') AS ended,
    EXISTS (SELECT FROM pg_prepared_xacts WHERE database = '{database}')
    OR EXISTS (SELECT FROM pg_subscription JOIN pg_database ON pg_database.oid = subdbid
      WHERE datname = '{database}') AS held \gset
\if :held \\
  ALTER DATABASE "{database}" ALLOW_CONNECTIONS true;
  \connect "{database}" \\
  SET client_min_messages = error;
  SET statement_timeout = '10s';
  SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts
    WHERE database = current_database() \gexec \\
  SELECT format(statement, subname)
    FROM pg_subscription JOIN pg_database ON pg_database.oid = subdbid,
      unnest(ARRAY['ALTER SUBSCRIPTION %I DISABLE',
        'ALTER SUBSCRIPTION %I SET (slot_name = NONE)', 'DROP SUBSCRIPTION %I'])
        WITH ORDINALITY AS statements (statement, number)
    WHERE datname = current_database() ORDER BY subname, number \gexec
  \connect :home \\
\endif \\
DROP DATABASE IF EXISTS "{database}" WITH (FORCE);
