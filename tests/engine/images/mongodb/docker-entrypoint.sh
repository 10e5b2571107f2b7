#!/bin/bash
# Starts MongoDB the way the official image does: the first start creates the root user, and runs
# the scripts, through a server that listens on the container's loopback alone.
set -Eeuo pipefail

SCRIPTS=/docker-entrypoint-initdb.d
TEMPORARY_CONFIGURATION=/tmp/docker-entrypoint-configuration.json
TEMPORARY_PID_FILE=/tmp/docker-entrypoint-mongod.pid

# from_file NAME: takes the value of NAME from the file that NAME_FILE names (a Docker secret), if
# one is named.
from_file() {
    local name=$1 file_name=${1}_FILE
    if [ "${!name:-}" ] && [ "${!file_name:-}" ]; then
        echo >&2 "error: both $name and $file_name are set (but are exclusive)"
        exit 1
    fi
    [ -z "${!file_name:-}" ] || export "$name"="$(< "${!file_name}")"
    unset "$file_name"
}

# has_option NAME ARGUMENT...
has_option() {
    local name=$1 argument
    shift
    for argument in "$@"; do
        [ "$argument" != "$name" ] && [[ "$argument" != "$name="* ]] || return 0
    done
    return 1
}

# option_value NAME ARGUMENT...: prints the value, or nothing.
option_value() {
    local name=$1
    shift
    while [ $# -gt 0 ]; do
        case "$1" in
            "$name") echo "${2-}"; return ;;
            "$name="*) echo "${1#*=}"; return ;;
        esac
        shift
    done
}

configuration_file() {
    local file
    file=$(option_value --config "$@")
    [ "$file" ] || file=$(option_value -f "$@")
    echo "$file"
}

binds_by_file() {
    local file
    file=$(configuration_file "$@")
    [ "$file" ] && grep --quiet '^[[:space:]]*bindIp' "$file"
}

data_path() {
    local path file
    path=$(option_value --dbpath "$@")
    file=$(configuration_file "$@")
    if [ -z "$path" ] && [ "$file" ]; then
        path=$(sed --quiet 's/^[[:space:]]*dbPath:[[:space:]]*//p' "$file" | tr -d "\"'" | head -n 1)
    fi
    echo "${path:-/data/db}"
}

is_initialised() {
    local name
    for name in WiredTiger journal local.0 storage.bson; do
        [ ! -e "$1/$name" ] || return 0
    done
    return 1
}

# The user's configuration without what would lock us out, or show this server to others.
write_temporary_configuration() {
    node -e '
        const { load } = require("/opt/mongosh/node_modules/js-yaml");
        const configuration = load(require("fs").readFileSync(process.argv[1], "utf8")) || {};
        for (const part of ["net", "processManagement", "replication", "security", "systemLog"])
            delete configuration[part];
        console.log(JSON.stringify(configuration));
    ' "$1" > "$TEMPORARY_CONFIGURATION"
}

# Fills TEMPORARY_ARGUMENTS from the arguments of the real server.
choose_temporary_arguments() {
    TEMPORARY_ARGUMENTS=()
    while [ $# -gt 0 ]; do
        case "$1" in
            --auth | --bind_ip_all | --fork) ;;
            --bind_ip=* | --keyFile=* | --logpath=* | --port=* | --replSet=* | --tlsMode=*) ;;
            --bind_ip | --keyFile | --logpath | --port | --replSet | --tlsMode) shift ;;
            --config=* | -f=*)
                write_temporary_configuration "${1#*=}"
                TEMPORARY_ARGUMENTS+=(--config "$TEMPORARY_CONFIGURATION") ;;
            --config | -f)
                write_temporary_configuration "$2"
                TEMPORARY_ARGUMENTS+=(--config "$TEMPORARY_CONFIGURATION")
                shift ;;
            *) TEMPORARY_ARGUMENTS+=("$1") ;;
        esac
        shift
    done
    if has_option --tlsCertificateKeyFile "${TEMPORARY_ARGUMENTS[@]}"; then
        TEMPORARY_ARGUMENTS+=(--tlsMode allowTLS)
    fi
    TEMPORARY_ARGUMENTS+=(--bind_ip 127.0.0.1 --port 27017 --pidfilepath "$TEMPORARY_PID_FILE")
    TEMPORARY_ARGUMENTS+=(--logappend --logpath "/proc/$$/fd/1")
}

start_temporary_server() {
    choose_temporary_arguments "$@"
    # With --fork the command returns when the server listens; nothing has to be polled.
    "${TEMPORARY_ARGUMENTS[@]}" --fork
}

stop_temporary_server() {
    "${TEMPORARY_ARGUMENTS[@]}" --shutdown
    rm -f "$TEMPORARY_PID_FILE" "$TEMPORARY_CONFIGURATION"
}

shell=(mongosh --host 127.0.0.1 --port 27017 --quiet)

create_root_user() {
    # The shell reads the environment itself: nothing has to be quoted, and no password is visible.
    "${shell[@]}" admin --eval '
        db.createUser({
            user: process.env.MONGO_INITDB_ROOT_USERNAME,
            pwd: process.env.MONGO_INITDB_ROOT_PASSWORD,
            roles: [{ role: "root", db: "admin" }],
        })'
}

run_scripts() {
    local script
    for script in "$SCRIPTS"/*; do
        case "$script" in
            *.sh) echo "$0: running $script"; . "$script" ;;
            *.js) echo "$0: running $script"; "${shell[@]}" "$MONGO_INITDB_DATABASE" "$script" ;;
            "$SCRIPTS/*") ;;
            *) echo "$0: ignoring $script" ;;
        esac
    done
}

initialise() {
    export MONGO_INITDB_DATABASE=${MONGO_INITDB_DATABASE:-test}
    start_temporary_server "$@"
    [ -z "${MONGO_INITDB_ROOT_USERNAME:-}" ] || create_root_user
    run_scripts
    stop_temporary_server
    printf '\nMongoDB init process complete; ready for start up.\n\n'
}

[ $# -gt 0 ] && [[ "$1" != -* ]] || set -- mongod "$@"

if [[ "$1" = mongo* ]] && [ "$(id -u)" = 0 ]; then
    if [ "$1" = mongod ]; then
        find /data/configdb "$(data_path "$@")" ! -user mongodb -exec chown mongodb {} + || :
    fi
    # The temporary server opens its own log on our standard output.
    chown --dereference mongodb "/proc/$$/fd/1" "/proc/$$/fd/2" || :
    exec setpriv --reuid=mongodb --regid=mongodb --clear-groups "${BASH_SOURCE[0]}" "$@"
fi

if [ "$1" = mongod ] && ! has_option --version "$@" && ! has_option --help "$@"; then
    from_file MONGO_INITDB_ROOT_USERNAME
    from_file MONGO_INITDB_ROOT_PASSWORD
    if [ "${MONGO_INITDB_ROOT_USERNAME:-}" ] && [ "${MONGO_INITDB_ROOT_PASSWORD:-}" ]; then
        has_option --auth "$@" || set -- "$@" --auth
    elif [ "${MONGO_INITDB_ROOT_USERNAME:-}${MONGO_INITDB_ROOT_PASSWORD:-}" ]; then
        cat >&2 <<'EOM'

error: missing 'MONGO_INITDB_ROOT_USERNAME' or 'MONGO_INITDB_ROOT_PASSWORD'
       both must be specified for a user to be created

EOM
        exit 1
    fi
    if ! is_initialised "$(data_path "$@")"; then
        if [ "${MONGO_INITDB_ROOT_USERNAME:-}" ] || [ "$(ls "$SCRIPTS")" ]; then
            initialise "$@"
        fi
    fi
    if ! has_option --bind_ip "$@" && ! has_option --bind_ip_all "$@" && ! binds_by_file "$@"; then
        set -- "$@" --bind_ip_all
    fi
    unset "${!MONGO_INITDB_@}"
fi

exec "$@"
