-- The digest of a table does not depend on the order of its rows: CHECKSUM TABLE would miss many
-- changes that exchange bits between rows.
SET group_concat_max_len = 1000000000;
SELECT CONCAT(IF(table_type = 'VIEW', 'SHOW CREATE VIEW', 'SHOW CREATE TABLE'),
    ' `{database}`.`', table_name, '`;')
  FROM information_schema.tables WHERE table_schema = '{template}';
SELECT COALESCE(CONCAT(GROUP_CONCAT(digest SEPARATOR ' UNION ALL '), ';'), '') FROM (
  SELECT CONCAT('SELECT ''', table_name, ''', COUNT(*), SUM(CAST(CONV(LEFT(SHA2(CONCAT_WS('','',',
    GROUP_CONCAT(CONCAT('QUOTE(CAST(`', column_name, '` AS BINARY))')),
    '), 256), 15), 16, 10) AS UNSIGNED)) FROM `{database}`.`', table_name, '`') AS digest
  FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
  WHERE table_schema = '{template}' AND table_type = 'BASE TABLE' GROUP BY table_name) AS digests;
SELECT CONCAT('SHOW CREATE DATABASE `{database}`; SHOW FULL TABLES FROM `{database}`; ',
  'SHOW TRIGGERS FROM `{database}`; SHOW EVENTS FROM `{database}`; ',
  'SELECT routine_name, last_altered, SHA2(routine_definition, 256) ',
  'FROM information_schema.routines WHERE routine_schema = ''{database}'';');
