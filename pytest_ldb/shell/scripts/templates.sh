# shellcheck shell=sh
# Templates: databases that one shell fills, for all to copy.
# shellcheck disable=SC2154 # commands.sh sets `home` and `me`
#
#   $home/templates/KEY.ready        its database
#   $home/templates/KEY.failed.RUN   why it could not be filled in this run
#   $home/templates/KEY.user.OWNER   the owner has asked for it
#   $home/locks/template-KEY         who fills it or drops it
#
# A claim registers its user before it looks whether the template is ready; a retirement hides the
# template before it looks for users. So at least one of them sees the other.

# template_claim KEY RUN: prints `ready` and the database, `failed` and why, `mine` or `wait`.
template_claim() {
  place=$home/templates/$1
  mkdir -p "$home/templates"
  while :; do
    : >"$place.user.$me"
    ! template_known "$2" || return 0
    lock "template-$1" || break
    # It may have been finished, and the lock released, since we looked.
    [ -e "$place.ready" ] || [ -e "$place.failed.$2" ] || { echo mine && return; }
    unlock "template-$1"
  done
  echo wait
}

template_known() {
  if [ -e "$place.ready" ]; then
    echo ready
    cat "$place.ready"
  elif [ -e "$place.failed.$1" ]; then
    echo failed
    cat "$place.failed.$1"
  else
    return 1
  fi
}

# template_ready KEY DATABASE
template_ready() { template_done "$1" ready "$2"; }

# template_failed KEY RUN REASON
template_failed() { template_done "$1" "failed.$2" "$3"; }

template_done() {
  printf %s "$3" >"$home/templates/$1.new"
  mv "$home/templates/$1.new" "$home/templates/$1.$2"
  unlock "template-$1"
}

# template_retire KEY: prints the keys and the databases of the other templates that no living
# owner uses. They stay locked until their databases are dropped (template_gone).
template_retire() {
  for ready in "$home"/templates/*.ready; do
    place=${ready%.ready}
    key=${place##*/}
    if [ "$key" = "$1" ] || [ ! -e "$ready" ] || ! lock "template-$key"; then continue; fi
    # Another shell may have retired it since we looked.
    mv "$ready" "$place.retired" 2>/dev/null || { unlock "template-$key" && continue; }
    if template_used; then
      mv "$place.retired" "$ready"
      unlock "template-$key"
    else
      echo "$key $(cat "$place.retired")"
      rm -f "$place".user.* "$place.retired"
    fi
  done
}

template_used() {
  for user in "$place".user.*; do
    ! lives "${user##*.user.}" || return 0
  done
  return 1
}

template_gone() { unlock "template-$1"; }
