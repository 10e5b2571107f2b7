# From a pipe it takes a script as from a file: then errors count, and nothing prompts for more.
connect=$1
shift
if [ $# = 0 ]; then
  if [ -t 0 ]; then set -- --shell; else set -- --file /dev/stdin; fi
fi
exec mongosh --quiet --nodb --eval "$connect" "$@"
