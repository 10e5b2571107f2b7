# The first process writes the file for all of them.
host=$1 port=$2 user=$3 database=$4
file=$LDB_HOME/$database.sql
[ -e "$file" ] ||
  { mysqldump --host="$host" --port="$port" --user="$user" --single-transaction --routines \
    --triggers --events --no-tablespaces --skip-comments --set-gtid-purged=OFF "$database" \
    >"$LDB_HOME/$database.$$" &&
    mv "$LDB_HOME/$database.$$" "$file"; }
