CREATE TABLE goods (name varchar(20));
