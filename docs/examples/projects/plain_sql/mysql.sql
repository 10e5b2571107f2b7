CREATE TABLE goods (name varchar(20) PRIMARY KEY);
INSERT INTO goods VALUES ('tea');
