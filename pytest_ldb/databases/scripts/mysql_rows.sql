-- Writes the statements that copy the rows of all tables, exactly.
SET group_concat_max_len = 1000000000;
SELECT 'SET NAMES utf8mb4, sql_mode = ''NO_AUTO_VALUE_ON_ZERO'', foreign_key_checks = 0,
  unique_checks = 0, time_zone = ''+00:00'', transaction_isolation = ''READ-COMMITTED'';';
-- The server computes generated columns by itself. `SELECT *` leaves out invisible ones.
SELECT CONCAT('INSERT INTO ', target, ' (', fields, ') SELECT ', fields, ' FROM ', source, ';')
  FROM (
    SELECT CONCAT('`', REPLACE(table_name, '`', '``'), '`') AS target,
      CONCAT('`', REPLACE(DATABASE(), '`', '``'), '`.`', REPLACE(table_name, '`', '``'), '`')
        AS source,
      GROUP_CONCAT('`', REPLACE(column_name, '`', '``'), '`' ORDER BY ordinal_position) AS fields
    FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
    WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'
      AND engine NOT IN ('MRG_MYISAM', 'FEDERATED') AND COALESCE(generation_expression, '') = ''
    GROUP BY table_name) AS tables_to_copy;
