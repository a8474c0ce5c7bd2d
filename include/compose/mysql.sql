-- Admin rights, so that a person can create databases.
GRANT ALL PRIVILEGES ON *.* TO 'etl'@'%' WITH GRANT OPTION;
