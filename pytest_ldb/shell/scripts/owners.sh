# shellcheck shell=sh
# Which shells of a server live, and what each of them owns.
#
# Expects `home`, the directory that all shells of the server share, and `me`, the owner that
# this shell is (empty for a reader).
# shellcheck disable=SC2154
# A farewell runs as its owner, in a subshell if that is dead.
# shellcheck disable=SC2030,SC2031
#
#   $home/leases/OWNER      the owner holds the server
#   $home/farewell/OWNER    commands to run at the owner's end; removed when they have run
#   $home/locks/NAME        a symbolic link to the owner of NAME, or to `kept`

boot=
{ read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null

# Sets `identity` to the owner whose process has this id: the id, the time at which the process
# started, and the boot of the machine. So neither a later process with the same id nor a reboot
# brings an owner back to life. Without /proc (macOS) it is the id only.
identify() {
  kill -0 "$1" 2>/dev/null || return
  identity=$1
  [ -e /proc/self/stat ] || return 0
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return
  # The second field is the program's name in parentheses, which may contain spaces. The words
  # behind it are the fields from the third on: the state is $2, and field 22 is ${21}.
  # shellcheck disable=SC2086
  set -- "$1" ${stat##*) }
  case $2 in Z | X) return 1 ;; esac
  identity=$1-${21}-$boot
}

# Whether the process of an owner runs.
runs() {
  identify "${1%%-*}" && [ "$identity" = "$1" ]
}

# Whether what an owner has is still its own: until its farewell is over.
lives() {
  [ "$1" = kept ] || { [ -e "$home/farewell/$1" ] && runs "$1"; }
}

# Sets `others` to how many other owners hold the server.
count_others() {
  others=0
  for lease in "$home"/leases/*; do
    other=${lease##*/}
    [ "$other" = "$me" ] || [ ! -e "$lease" ] || ! runs "$other" || others=$((others + 1))
  done
}

# lock NAME [OWNER]: takes a lock, also from an owner that does not live; fails if one has it.
# The owner `kept` is no process; its locks last until they are unlocked.
lock() {
  tries=0
  until ln -s "${2:-$me}" "$home/locks/$1" 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -le 100 ] || return
    # It may have been unlocked just now.
    holder=$(readlink "$home/locks/$1") || continue
    ! lives "$holder" || return 1
    bury "$holder" "$1" || return
  done
}

holds() {
  [ "$(readlink "$home/locks/$1")" = "${2:-$me}" ]
}

# unlock NAME [OWNER]
unlock() {
  ! holds "$@" || rm -f "$home/locks/$1"
}

# Leaves a lock of this owner locked when the owner ends.
keep_lock() {
  ! holds "$1" || { ln -s kept "$home/locks/$1.$me" && mv -f "$home/locks/$1.$me" "$home/locks/$1"; }
}

# bury OWNER NAME: runs the farewell of an owner that was killed before it could, then removes its
# lock NAME. Of several shells that find the same lock one does so, under a lock of its own, and
# the others see that the lock has another holder. A subshell keeps the caller's variables.
bury() (
  until lock "farewell-$1"; do
    [ -d "$home/locks" ] || exit
    sleep 0.1 || sleep 1
  done
  [ ! -e "$home/farewell/$1" ] || (me=$1 && say_farewell) >/dev/null 2>&1
  unlock "$2" "$1"
  unlock "farewell-$1"
)

# Runs what this owner left to be done. Its locks are void as soon as its file is removed, not
# earlier: if this is killed halfway, it is run again from the start, and nothing that it drops
# may belong to another owner by then.
say_farewell() {
  . "$home/farewell/$me"
  rm -f "$home/farewell/$me" "$home/farewell/$me".* "$home/busy/$me" "$home/leases/$me"
}

# renew_initial STATEMENTS CLIENT...: drops the initial database and creates it anew. The client
# writes nothing if that succeeded; if it failed, the database stays locked.
renew_initial() {
  holds initial || return 0
  statements=$1
  shift
  trouble=$(printf '%s\n' "$statements" | "$@" 2>&1)
  [ -n "$trouble" ] || unlock initial
}
