# shellcheck shell=sh
# A client that stays open, between two pipes.
# shellcheck disable=SC2154 # commands.sh sets `home`

# feed STATEMENTS MARK_STATEMENT MARK CLIENT...
feed() {
  text=$1 mark_statement=$2 mark=$3
  shift 3
  [ "$client" ] || open_client "$@" || return
  # What does not fit into a pipe is written while the answer is read, as the client may not read
  # before its own output has been read.
  if [ ${#text} -lt 4096 ]; then
    printf '%s\n' "$text" "$mark_statement" >&8
  else
    printf '%s\n' "$text" "$mark_statement" >&8 &
  fi
  answer
}

# What the client writes when it opens is no answer to anything.
open_client() {
  channel=$(mktemp -d "$home/client.XXXXXX") && mkfifo "$channel/in" "$channel/out" || return
  exec 8<>"$channel/in"
  (cd "$home" && exec "$@") <"$channel/in" >"$channel/out" 2>&1 8>&- &
  # Process 1 of a container is a server, which need not reap what this shell leaves behind.
  trap 'finish; exec 8>&- 9<&-; wait' EXIT
  exec 9<"$channel/out"
  rm -r "$channel"
  printf '%s\n' "$mark_statement" >&8
  greeting=$(answer) && client=open && return
  printf '%s\n' "$greeting"
  return 69
}

answer() {
  while IFS= read -r line <&9; do
    [ "$line" != "$mark" ] || return 0
    printf '%s\n' "$line"
  done
  client=
  return 69
}

# When the shell ends, the client that is open runs what was left for it, as starting another one
# takes longer. If that does not succeed, the list is left for another one.
finish() {
  list=$home/farewell/$me.client
  if [ "$client" ] && [ -s "$list" ]; then
    feed "$(cat "$list")" "$mark_statement" "$mark" >/dev/null && : >"$list"
  fi
}
