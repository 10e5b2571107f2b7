# shellcheck shell=sh
# The first process of a container whose files are wanted when its server has ended.
#
# Arguments: the signal that stops the server, and its command. Reads LDB_HOME from its
# environment. If the signal comes, the container stays after the server's end, until a shell
# switches it off; `stop_server` sends it. Otherwise it ends with the server.
#
#   $home/lingers   this process, and the signal
#   $home/ended     the server's exit status, if it was asked to end
home=$LDB_HOME asked=
mkdir -p "$home"
echo "$$ $1" >"$home/lingers"
# shellcheck disable=SC2064 # the signal is known now
trap "asked=yes; kill -s $1 \$server" "$1"
shift
"$@" &
server=$!
wait "$server"
status=$?
[ "$asked" ] || exit "$status"
# The signal has interrupted `wait`, unless the server had been awaited already.
wait "$server"
again=$?
[ "$again" = 127 ] || status=$again
echo "$status" >"$home/ended.new" && mv "$home/ended.new" "$home/ended"
sleep 3600
