USE `{database}`;
SET time_zone = '+00:00', group_concat_max_len = 1000000000;
SHOW CREATE DATABASE `{database}`;
SHOW FULL TABLES;
-- A prepared transaction outlives its connection, and holds what it has written.
XA RECOVER;
SELECT * FROM information_schema.triggers WHERE trigger_schema = DATABASE();
SELECT * FROM information_schema.events WHERE event_schema = DATABASE();
SELECT * FROM information_schema.routines WHERE routine_schema = DATABASE();
SELECT * FROM information_schema.parameters WHERE specific_schema = DATABASE();
