#!/bin/sh
# Starts Redis the way the official image does. Plain sh: variants of this image have no bash.
set -eu

# Options, or the name of a configuration file, are meant for the server.
case "${1-}" in
    -* | *.conf) set -- redis-server "$@" ;;
esac

if [ "${1-}" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . ! -user redis -exec chown redis:redis {} +
    # By its path: BusyBox's sh prefers a setpriv of its own, which cannot change the user.
    exec /usr/bin/setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"
fi

# What Redis writes is for Redis, unless the user decided otherwise.
[ "$(umask)" != 0022 ] || umask 0077

# The official image is compiled with protected mode off: a published port would be useless with it.
# Debian's is not, so the option is added wherever it is not set.
protection_is_decided() {
    for argument in "$@"; do
        case "$argument" in
            *protected-mode*) return 0 ;;
            *.conf) grep -q '^[[:space:]]*protected-mode' "$argument" && return 0 ;;
        esac
    done
    return 1
}

if [ "${1-}" = redis-server ]; then
    case "${2-}" in
        -v | --version | -h | --help | --test-memory | --check-system) ;;
        *) protection_is_decided "$@" || set -- "$@" --protected-mode no ;;
    esac
fi

exec "$@"
