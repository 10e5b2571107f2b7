# shellcheck shell=sh
# What an open shell is asked to run. Reads LDB_HOME and LDB_LEASE, the owner that it is.
home=$LDB_HOME me=$LDB_LEASE

# run MARK COMMAND...: the output ends with a line of the mark and the status.
run() {
  end_mark=$1
  shift
  "$@" </dev/null 2>&1
  printf '\n%s %d\n' "$end_mark" $?
}

# later LINE [SUFFIX]: puts a line at the head of what is run at the end.
later() {
  list=$home/farewell/$me$2
  : >>"$list"
  {
    printf '%s\n' "$1"
    cat "$list"
  } >"$list.new" && mv "$list.new" "$list"
}

# forget LINE [SUFFIX]: takes `later` back.
forget() {
  list=$home/farewell/$me$2
  {
    grep -vxF -e "$1" "$list"
    true
  } >"$list.new" && mv "$list.new" "$list"
}

file_for() {
  folder=$(mktemp -d "$home/files.XXXXXX")
  later "rm -r '$folder'"
  : >"$folder/$1"
  echo "$folder/$1"
}

# put FILE BASE64: appends to the file; if there is no space, the output says where.
put() {
  printf %s "$2" | base64 -d >>"$1" && return
  df -k "$home"
  return 1
}

# Init scripts are what this pattern finds, too. No program is started: each process asks.
holds_files() {
  for file in "$1"/*; do
    [ ! -e "$file" ] || echo yes
    return
  done
}

mark_ready() { : >"$home/ready"; }

keep() { : >"$home/keep"; }

be_first() { ! mkdir "$home/first-$1" 2>/dev/null || echo first; }

# Stops the server of a container that lingers, and prints its exit status (linger.sh).
stop_server() {
  read -r process signal <"$home/lingers" || return
  kill -s "$signal" "$process" || return
  until [ -e "$home/ended" ]; do sleep 0.1 || sleep 1; done
  cat "$home/ended"
}
