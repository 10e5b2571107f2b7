# Writes the statements that make a copy, once for all processes. They hold no rows: the server
# copies these from table to table, which keeps every digit and byte, and takes no space here.
# Triggers come after the rows, as they would run on them. What mysqldump writes about the
# collation of routines names the database; without a name it is the one that is being made.
host=$1 port=$2 user=$3 database=$4 collation=$5 rows=$6
file=$LDB_HOME/$database.sql
[ ! -e "$file" ] || exit 0

written() {
  mysql --host="$host" --port="$port" --user="$user" --batch --skip-column-names --raw \
    --default-character-set=utf8mb4 --execute="$1" "$database"
}

declared() {
  mysqldump --host="$host" --port="$port" --user="$user" --no-data --skip-lock-tables \
    --skip-add-locks --skip-add-drop-table --skip-disable-keys --skip-comments --no-tablespaces \
    --loose-set-gtid-purged=OFF "$@" "$database" >"$LDB_HOME/$database.$$.part" || return
  # shellcheck disable=SC2016 # backquotes of SQL
  sed 's/^ALTER DATABASE `[^`]*` CHARACTER SET/ALTER DATABASE CHARACTER SET/' \
    "$LDB_HOME/$database.$$.part"
}

{
  written "$collation" && declared --skip-triggers --routines &&
    written "$rows" && declared --triggers --events --no-create-info
} >"$LDB_HOME/$database.$$" && mv "$LDB_HOME/$database.$$" "$file"
status=$?
rm -f "$LDB_HOME/$database.$$" "$LDB_HOME/$database.$$.part"
exit $status
