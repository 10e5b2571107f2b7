-- It waits until the connections have ended (PostgreSQL 14); DROP DATABASE would poll at 0.1 s.
DO $$ BEGIN
  PERFORM pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database}';
END $$;
