-- Files are copied; the other strategy writes every page to the log (PostgreSQL 15).
CREATE DATABASE "{database}" TEMPLATE "{template}" STRATEGY file_copy;
-- What belongs to the database as a whole is not copied by that. Only a superuser may write into
-- the catalog; `ALTER DATABASE … SET` does not take every value as it is stored.
SELECT format(statement, '{database}', value)
  FROM (SELECT *, pg_get_userbyid(datdba) AS owner, shobj_description(oid, 'pg_database') AS comment
      FROM pg_database WHERE datname = '{template}') AS template,
    LATERAL (
      SELECT 1, 'ALTER DATABASE %I OWNER TO %I', owner
        WHERE owner <> current_user
      UNION ALL
      SELECT 1, 'ALTER DATABASE %I CONNECTION LIMIT %s', datconnlimit::text
        WHERE datconnlimit <> -1
      UNION ALL
      SELECT 1, 'COMMENT ON DATABASE %I IS %L', comment
        WHERE comment IS NOT NULL
      UNION ALL
      SELECT 2, 'REVOKE ALL ON DATABASE %I FROM PUBLIC, %I', owner
        WHERE datacl IS NOT NULL
      UNION ALL
      SELECT 3, 'GRANT ' || privilege_type || ' ON DATABASE %I TO %s'
          || CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END,
          CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END
        FROM aclexplode(datacl)
      UNION ALL
      SELECT 3, 'INSERT INTO pg_db_role_setting SELECT pg_database.oid, setrole, setconfig
          FROM pg_db_role_setting, pg_database WHERE datname = %L AND setdatabase = %s',
          oid::text
        WHERE EXISTS (SELECT FROM pg_db_role_setting WHERE setdatabase = oid)
          AND has_table_privilege('pg_db_role_setting', 'INSERT')
    ) AS statements (number, statement, value)
  ORDER BY number \gexec
