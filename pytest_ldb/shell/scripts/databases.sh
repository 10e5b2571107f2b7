# shellcheck shell=sh
# Databases that exist from the beginning: numbers, and the initial one.
# shellcheck disable=SC2154 # commands.sh sets `home`

# take_number COUNT [kept]: prints a number that no living owner has. Those that an owner left
# locked come last, as finding out whether it lives takes longer.
take_number() {
  for left in no yes; do
    number=0
    while [ $number -lt "$1" ]; do
      if [ $left = yes ] || [ ! -h "$home/locks/number-$number" ]; then
        ! lock "number-$number" "$2" || { echo $number && return; }
      fi
      number=$((number + 1))
    done
  done
  return 1
}

# Frees a number that was taken to be kept.
free_number() { unlock "number-$1" kept; }

# take_initial [RENEWAL]: the renewal is run at the end, and unlocks the database if it succeeds.
# Without one, or if it is forgotten, the database stays locked.
take_initial() {
  if [ "$1" ]; then
    lock initial || return 0
    later "keep_lock initial"
    later "$1"
  else
    lock initial kept || return 0
  fi
  echo taken
}
