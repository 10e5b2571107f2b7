-- {thing_hex} is the name as the client has written it, with escapes.
SET NAMES utf8mb4, sql_mode = 'NO_AUTO_VALUE_ON_ZERO', foreign_key_checks = 0, unique_checks = 0,
  time_zone = '+00:00', lock_wait_timeout = 10, innodb_lock_wait_timeout = 10,
  group_concat_max_len = 1000000000, @target = NULL;
SELECT CONCAT('`', REPLACE(table_name, '`', '``'), '`'),
    GROUP_CONCAT('`', REPLACE(column_name, '`', '``'), '`')
  INTO @target, @fields FROM information_schema.columns
  WHERE table_schema = '{template}' AND COALESCE(generation_expression, '') = ''
    AND REPLACE(REPLACE(REPLACE(table_name, '\\', '\\\\'), '\t', '\\t'), '\n', '\\n')
      = CONVERT(0x{thing_hex} USING utf8mb4) COLLATE utf8mb4_bin
  GROUP BY table_name;
SET @s = COALESCE(CONCAT('TRUNCATE `{database}`.', @target), 'SELECT ''it is not a table''');
PREPARE s FROM @s; EXECUTE s;
SET @s = COALESCE(CONCAT('INSERT INTO `{database}`.', @target, ' (', @fields, ') SELECT ', @fields,
  ' FROM `{template}`.', @target), 'DO 0');
PREPARE s FROM @s; EXECUTE s;
