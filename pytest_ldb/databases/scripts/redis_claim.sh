# A number that holds keys already is not used, so data of other programs is never flushed.
host=$1 port=$2 number=$3
size=$(redis-cli -h "$host" -p "$port" -n "$number" DBSIZE) || exit
case $size in
  0) ;;
  *[!0-9]*) echo "$size"; exit 1 ;;
  *) echo "database $number is not empty ($size keys)"; exit 3 ;;
esac
