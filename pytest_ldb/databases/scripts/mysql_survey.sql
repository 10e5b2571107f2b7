-- The digest of a table does not depend on the order of its rows: CHECKSUM TABLE would miss many
-- changes that exchange bits between rows. Where only the order of insertion says in which order
-- a query returns them, the order is digested too.
--
-- FLOAT is read as DOUBLE: as text it has six digits. Long values are digested one by one, as text
-- that is longer than max_allowed_packet would be NULL.
SET group_concat_max_len = 1000000000;
SELECT IF(statement REGEXP '[[:cntrl:]\\\\]', CONCAT('SET @s = CONVERT(0x', HEX(statement),
    ' USING utf8mb4); PREPARE s FROM @s; EXECUTE s;'), CONCAT(statement, ';')) FROM (
  SELECT CONCAT(IF(table_type = 'VIEW', 'SHOW CREATE VIEW', 'SHOW CREATE TABLE'), ' `',
      REPLACE(table_name, '`', '``'), '`') AS statement
    FROM information_schema.tables WHERE table_schema = '{template}'
  UNION ALL
  SELECT GROUP_CONCAT(digest SEPARATOR ' UNION ALL ') FROM (
    SELECT CONCAT('SELECT CONVERT(', QUOTE(table_name), ' USING utf8mb4), COUNT(*), ',
        'SUM(CAST(CONV(digest, 16, 10) AS UNSIGNED)), ',
        IF(MAX(column_key = 'PRI' AND engine = 'InnoDB'), '0',
          'SHA2(GROUP_CONCAT(digest SEPARATOR ''''), 256)'),
        ' FROM (SELECT LEFT(SHA2(CONCAT_WS('','', ', GROUP_CONCAT(CASE
          WHEN data_type IN ('float', 'double') THEN CONCAT('QUOTE(', field, ' * 1e0)')
          WHEN data_type = 'enum' THEN CONCAT('QUOTE(', field, ' + 0)')
          WHEN character_maximum_length <= 65535 THEN CONCAT('COALESCE(HEX(', field, '), ''NULL'')')
          WHEN numeric_precision OR datetime_precision IS NOT NULL OR data_type IN ('date', 'year')
            THEN CONCAT('QUOTE(', field, ')')
          ELSE CONCAT('COALESCE(SHA2(', field, ', 256), ''NULL'')') END),
        '), 256), 15) AS digest FROM `', REPLACE(table_name, '`', '``'), '`) AS digests') AS digest
    FROM (SELECT *, CONCAT('`', REPLACE(column_name, '`', '``'), '`') AS field
        FROM information_schema.columns) AS fields
      JOIN information_schema.tables USING (table_schema, table_name)
    WHERE table_schema = '{template}' AND table_type <> 'VIEW' GROUP BY table_name) AS digests
  UNION ALL
  -- A sequence (MariaDB) takes its numbers ahead, so that the next one is not to be seen.
  SELECT CONCAT('SELECT ', QUOTE(table_name), ', UUID()')
    FROM information_schema.tables WHERE table_schema = '{template}' AND table_type = 'SEQUENCE'
) AS statements WHERE statement IS NOT NULL;
