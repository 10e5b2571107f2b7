# shellcheck shell=sh
# Holds a server for as long as standard input is open. Runs behind owners.sh and a definition of
# `switch_off`, and reads from its environment:
#
#   LDB_HOME        a directory that all shells of the server share
#   LDB_EPHEMERAL   not empty: the last shell that leaves switches the server off
#   LDB_PROFILE     a line to run first
#
# The left side of the pipe at the end only passes its input on, so it sees the end of the
# connection at once, even while the right side is busy with a command that hangs.
#
# The script waits for a word before it writes anything: what arrives right behind the answer to
# the HTTP request that opened the connection could be lost in that request's buffers. Before that
# word it holds nothing, so it may be opened on the chance that it is needed.
#
# Two shells may meet at the end, one leaving and one arriving. The one that arrives registers
# first and looks for the mark `closing` second; the one that leaves sets the mark first and looks
# for others second. So at least one of them sees the other.
# shellcheck disable=SC2154 # owners.sh sets `identity` and `others`
umask 077
eval "$LDB_PROFILE"
home=$LDB_HOME me=$$
mkdir -p "$home/leases" "$home/farewell" "$home/locks" "$home/busy"
read -r _ || exit
! identify $$ || me=$identity
: >"$home/farewell/$me"
: >"$home/busy/$me"
: >"$home/leases/$me"

leave() {
  exec >/dev/null 2>&1
  rm -f "$home/leases/$me"
  count_others
  if [ "$LDB_EPHEMERAL" ] && [ ! -e "$home/keep" ] && [ "$others" = 0 ]; then
    sleep 0.3 || sleep 1
    mkdir "$home/closing"
    count_others
    [ "$others" != 0 ] || switch_off
    rmdir "$home/closing"
  fi
  # A command that still runs may be making what is to be dropped.
  turns=0
  while [ -e "$home/busy/$me" ] && [ $turns -lt 100 ]; do
    sleep 0.1 || sleep 1
    turns=$((turns + 1))
  done
  say_farewell
}

count_others
ready=0
[ ! -e "$home/ready" ] || ready=1
closing=0
[ ! -d "$home/closing" ] || closing=1
echo "ldb-shell $closing $ready $others"
{
  cat
  leave
} | {
  LDB_LEASE=$me sh
  rm -f "$home/busy/$me"
}
