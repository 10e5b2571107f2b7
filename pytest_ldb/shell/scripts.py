"""The other side of a shell: what POSIX `sh` runs beside the server, in a container or not."""

from __future__ import annotations

# The left side of the pipe only passes its input on, so it sees the end of the connection at
# once, even while the right side is busy with a command that hangs.
#
# The script waits for a word before it says anything: what arrives right behind the answer to the
# HTTP request that opened the connection could be lost in that request's buffers. Before that word
# it holds nothing, so it may be opened on the chance that it is needed.
#
# Two shells may meet at the end, one leaving and one arriving. The one that arrives registers
# first and looks for the mark `closing` second; the one that leaves sets the mark first and looks
# for others second. So at least one of them sees the other.
_SCRIPT = """
umask 077
eval "$LDB_PROFILE"
home=$LDB_HOME me=$$
mkdir -p "$home/leases" "$home/farewell" "$home/numbers" "$home/busy"
read -r go || exit
: >"$home/farewell/$me"
: >"$home/busy/$me"
: >"$home/leases/$me"
count_others() {
  others=0
  for file in "$home"/leases/*; do
    pid=${file##*/}
    [ "$pid" = "$me" ] || [ ! -e "$file" ] || ! kill -0 "$pid" 2>/dev/null || others=$((others+1))
  done
}
leave() {
  exec >/dev/null 2>&1
  rm -f "$home/leases/$me"
  count_others
  if [ "$LDB_EPHEMERAL" ] && [ ! -e "$home/keep" ] && [ $others = 0 ]; then
    sleep 0.3 || sleep 1
    mkdir "$home/closing"
    count_others
    [ $others = 0 ] && switch_off
    rmdir "$home/closing"
  fi
  # A command that still runs may be making what is to be dropped.
  turns=0
  while [ -e "$home/busy/$me" ] && [ $turns -lt 100 ]; do
    sleep 0.1 || sleep 1
    turns=$((turns+1))
  done
  . "$home/farewell/$me"
  rm -f "$home/farewell/$me" "$home/farewell/$me".*
}
switch_off() {
  %(switch_off)s
}
count_others
ready=0; [ -e "$home/ready" ] && ready=1
closing=0; [ -d "$home/closing" ] && closing=1
echo "ldb-shell $closing $ready $others"
{ cat; leave; } | { LDB_LEASE=$me sh; rm -f "$home/busy/$me"; }
"""

# Inside a container the server is process 1, which the kernel shields from SIGKILL and from every
# signal that it does not handle. While the image initialises itself, process 1 is a script that
# ignores signals but gives up when its child dies. The servers end at once on one of the first
# three, except MySQL, which takes a second to write what nobody will read; it heeds the last one.
SWITCH_OFF_CONTAINER = """while :; do
    kill -QUIT 1; kill -TERM 1; kill -INT 1
    sleep 0.3 || sleep 1
    kill -KILL -1
    kill -ABRT 1
  done"""

# Drops the initial database and creates it anew; the client writes nothing if that went well.
PUT_BACK_INITIAL = """
  statements=$1
  shift
  trouble=$(printf '%s\\n' "$statements" | "$@" 2>&1)
  [ -n "$trouble" ] || rmdir "$LDB_HOME/initial"
"""

PROLOGUE = """
home=$LDB_HOME
run() { "$@" </dev/null 2>&1; printf '\\n%s %d\\n' "$LDB_TOKEN" $?; }
later() {
  list=$home/farewell/$LDB_LEASE$2
  : >>"$list"
  { printf '%s\\n' "$1"; cat "$list"; } >"$list.new" && mv "$list.new" "$list"
}
forget() {
  list=$home/farewell/$LDB_LEASE$2
  { grep -vxF -e "$1" "$list"; true; } >"$list.new" && mv "$list.new" "$list"
}
# A client that stays open, between two pipes. What it says when it opens is no answer to anything.
open_client() {
  channel=$(mktemp -d "$home/client.XXXXXX") && mkfifo "$channel/in" "$channel/out" || return
  exec 8<>"$channel/in"
  (cd "$home" && exec "$@") <"$channel/in" >"$channel/out" 2>&1 8>&- &
  exec 9<"$channel/out"
  rm -r "$channel"
  printf '%s\\n' "$mark_statement" >&8
  greeting=$(answer) && client=open && return
  printf '%s\\n' "$greeting"
  return 69
}
answer() {
  while IFS= read -r line <&9; do
    [ "$line" != "$mark" ] || return 0
    printf '%s\\n' "$line"
  done
  client=
  return 69
}
feed() {
  text=$1 mark_statement=$2 mark=$3
  shift 3
  [ "$client" ] || open_client "$@" || return
  # What does not fit into a pipe is written while the answer is read, as the client may not read
  # before somebody takes what it has written.
  if [ ${#text} -lt 4096 ]; then
    printf '%s\\n' "$text" "$mark_statement" >&8
  else
    printf '%s\\n' "$text" "$mark_statement" >&8 &
  fi
  answer
}
mark_ready() { : >"$home/ready"; }
keep() { : >"$home/keep"; }
be_first() { mkdir "$home/first-$1" 2>/dev/null && echo first || :; }
# Whoever claims says so before looking whether the template is there; whoever retires hides the
# template before looking who has claimed it. So at least one of them sees the other.
template_claim() {
  place=$home/templates/$1
  mkdir -p "$home/templates"
  while :; do
    : >"$place.user.$LDB_LEASE"
    if [ -e "$place.ready" ]; then echo ready; cat "$place.ready"; return; fi
    if [ -e "$place.failed.$2" ]; then echo failed; cat "$place.failed.$2"; return; fi
    if ln -s "$LDB_LEASE" "$place.lock" 2>/dev/null; then
      # It may have been finished, and the claim given up, since we looked.
      if [ -e "$place.ready" ] || [ -e "$place.failed.$2" ]; then rm -f "$place.lock"; continue; fi
      echo mine
      return
    fi
    if mkdir "$place.stealing" 2>/dev/null; then
      owner=$(readlink "$place.lock")
      [ -e "$home/leases/$owner" ] || rm -f "$place.lock"
      rmdir "$place.stealing"
    fi
    if [ -h "$place.lock" ]; then echo wait; return; fi
  done
}
template_ready() {
  printf %s "$2" >"$home/templates/$1.new"
  mv "$home/templates/$1.new" "$home/templates/$1.ready"
  rm -f "$home/templates/$1.lock"
}
template_retire() {
  for ready in "$home"/templates/*.ready; do
    place=${ready%.ready}
    [ "$place" != "$home/templates/$1" ] && [ -e "$ready" ] || continue
    ln -s "$LDB_LEASE" "$place.lock" 2>/dev/null || continue
    # Another one may have retired it since we looked.
    mv "$ready" "$place.retired" 2>/dev/null || { rm -f "$place.lock"; continue; }
    if template_used "$place"; then
      mv "$place.retired" "$ready"
      rm -f "$place.lock"
    else
      # It stays locked until its database is gone.
      echo "${place##*/} $(cat "$place.retired")"
      rm -f "$place".user.* "$place.retired"
    fi
  done
}
template_used() {
  for user in "$1".user.*; do
    [ ! -e "$home/leases/${user##*.}" ] || return 0
  done
  return 1
}
template_gone() { rm -f "$home/templates/$1.lock"; }
template_failed() {
  printf %s "$3" >"$home/templates/$1.new"
  mv "$home/templates/$1.new" "$home/templates/$1.failed.$2"
  rm -f "$home/templates/$1.lock"
}
file_for() {
  folder=$(mktemp -d "$home/files.XXXXXX")
  later "rm -r '$folder'"
  : >"$folder/$1"
  echo "$folder/$1"
}
put() { printf %s "$2" | base64 -d >>"$1"; }
# At the end it is put back; whoever dies between the two lines does so with the container.
take_initial() {
  mkdir "$home/initial" 2>/dev/null || return 0
  [ -z "$1" ] || later "$1"
  echo taken
}
free_number() { rmdir "$home/numbers/$1"; }
take_number() {
  number=0
  while [ $number -lt "$1" ]; do
    if [ ! -e "$home/numbers/$number" ] && mkdir "$home/numbers/$number" 2>/dev/null; then
      [ "$2" ] || later "rmdir '$home/numbers/$number'"
      echo $number
      return 0
    fi
    number=$((number+1))
  done
  return 1
}
"""


def script(switch_off: str) -> str:
    """Return the script to run with ``sh -c``.

    It reads ``LDB_HOME`` (a directory that all shells of a server share), ``LDB_EPHEMERAL``
    (not empty: the last shell that leaves runs ``switch_off``) and ``LDB_PROFILE`` (a line to run
    first).
    """
    return _SCRIPT % {"switch_off": switch_off}
