-- Writes the statement that gives a copy the character set and collation of the database.
SELECT CONCAT('ALTER DATABASE CHARACTER SET ', default_character_set_name,
    ' COLLATE ', default_collation_name, ';')
  FROM information_schema.schemata
  WHERE schema_name = DATABASE() AND default_collation_name <> @@collation_server;
