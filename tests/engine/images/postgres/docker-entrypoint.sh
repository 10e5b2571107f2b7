#!/bin/bash
# Starts PostgreSQL the way the official image does: the first start creates the cluster, and fills
# it through a server that listens on the socket alone.
set -Eeuo pipefail

# from_file NAME [DEFAULT]: takes the value of NAME from the file that NAME_FILE names (a Docker
# secret), if one is named.
from_file() {
    local name=$1 file_name=${1}_FILE value=${2-}
    if [ "${!name:-}" ] && [ "${!file_name:-}" ]; then
        echo >&2 "error: both $name and $file_name are set (but are exclusive)"
        exit 1
    fi
    if [ "${!name:-}" ]; then
        value=${!name}
    elif [ "${!file_name:-}" ]; then
        value=$(< "${!file_name}")
    fi
    export "$name"="$value"
    unset "$file_name"
}

read_environment() {
    from_file POSTGRES_PASSWORD
    from_file POSTGRES_USER postgres
    from_file POSTGRES_DB "$POSTGRES_USER"
    from_file POSTGRES_INITDB_ARGS
    : "${POSTGRES_HOST_AUTH_METHOD:=}"
}

prepare_directories() {
    mkdir -p "$PGDATA"
    chmod 00700 "$PGDATA" || :
    mkdir -p /var/run/postgresql || :
    chmod 03775 /var/run/postgresql || :
    if [ "${POSTGRES_INITDB_WALDIR:-}" ]; then
        mkdir -p "$POSTGRES_INITDB_WALDIR"
        chmod 700 "$POSTGRES_INITDB_WALDIR"
    fi
    if [ "$(id -u)" = 0 ]; then
        find "$PGDATA" ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"} /var/run/postgresql \
            ! -user postgres -exec chown postgres {} +
    fi
}

require_password() {
    if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
        cat >&2 <<'EOM'
Error: Database is uninitialized and superuser password is not specified.
       You must specify POSTGRES_PASSWORD to a non-empty value for the
       superuser. For example, "-e POSTGRES_PASSWORD=password" on "docker run".

       You may also use "POSTGRES_HOST_AUTH_METHOD=trust" to allow all
       connections without a password. This is *not* recommended.

       See PostgreSQL documentation about "trust":
       https://www.postgresql.org/docs/current/auth-trust.html
EOM
        exit 1
    fi
}

# Since version 18 the data lie in a folder of their version, and the volume is that folder's parent.
# What was mounted the former way would stay unused, and be thought lost.
refuse_former_layout() {
    [ "$PGDATA" = "/var/lib/postgresql/$PG_MAJOR/docker" ] || return 0
    local directory found=()
    for directory in /var/lib/postgresql /var/lib/postgresql/data /var/lib/postgresql/*/docker; do
        [ ! -s "$directory/PG_VERSION" ] || found+=("$directory")
    done
    if [ ${#found[@]} = 0 ] && mountpoint -q /var/lib/postgresql/data; then
        found=('/var/lib/postgresql/data (unused mount/volume)')
    fi
    if [ ${#found[@]} != 0 ]; then
        cat >&2 <<EOM
Error: in 18+, these Docker images are configured to store database data in a
       format which is compatible with "pg_ctlcluster" (specifically, using
       major-version-specific directory names).

       Counter to that, there appears to be PostgreSQL data in:
         ${found[*]}

       The suggested container configuration for 18+ is to place a single mount
       at /var/lib/postgresql.
EOM
        exit 1
    fi
}

warn_about_trust() {
    if [ "$POSTGRES_HOST_AUTH_METHOD" = trust ]; then
        cat >&2 <<'EOM'
WARNING: POSTGRES_HOST_AUTH_METHOD has been set to "trust". This will allow
         anyone with access to the Postgres port to access your database without
         a password, even if POSTGRES_PASSWORD is set.
EOM
    fi
}

create_cluster() {
    [ -z "${POSTGRES_INITDB_WALDIR:-}" ] || set -- --waldir "$POSTGRES_INITDB_WALDIR" "$@"
    # POSTGRES_INITDB_ARGS is a piece of a command line, quotes included.
    set -- --username="$POSTGRES_USER" "$@"
    eval 'initdb --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD") '"$POSTGRES_INITDB_ARGS"' "$@"'
    local method=$POSTGRES_HOST_AUTH_METHOD
    [ "$method" ] || method=$(postgres -C password_encryption "${SERVER_OPTIONS[@]}")
    printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"
}

start_temporary_server() {
    local options
    options=$(printf '%q ' "${SERVER_OPTIONS[@]}" -c "listen_addresses=" -p "${PGPORT:-5432}")
    PGUSER=${PGUSER:-$POSTGRES_USER} NOTIFY_SOCKET='' pg_ctl -D "$PGDATA" -o "$options" -w start
}

stop_temporary_server() {
    PGUSER=${PGUSER:-postgres} pg_ctl -D "$PGDATA" -m fast -w stop
}

# Scripts that are sourced call this by the name that it has in the official image.
docker_process_sql() {
    PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password \
        --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" "$@"
}

create_database() {
    local exists
    set -- --dbname postgres --set db="$POSTGRES_DB" --tuples-only
    exists=$(docker_process_sql "$@" <<< "SELECT 1 FROM pg_database WHERE datname = :'db';")
    [ "$exists" ] || docker_process_sql "$@" <<< 'CREATE DATABASE :"db";'
}

say() {
    printf '%s: %s\n' "$0" "$1"
}

run_scripts() {
    local script
    for script in /docker-entrypoint-initdb.d/*; do
        case "$script" in
            *.sh)
                if [ -x "$script" ]; then
                    say "running $script"
                    "$script"
                else
                    say "sourcing $script"
                    . "$script"
                fi ;;
            *.sql) say "running $script"; docker_process_sql -f "$script" ;;
            *.sql.gz) say "running $script"; gunzip -c "$script" | docker_process_sql ;;
            *.sql.xz) say "running $script"; xzcat "$script" | docker_process_sql ;;
            *.sql.zst) say "running $script"; zstd -dc "$script" | docker_process_sql ;;
            '/docker-entrypoint-initdb.d/*') ;;
            *) say "ignoring $script" ;;
        esac
    done
}

initialise() {
    require_password
    warn_about_trust
    refuse_former_layout
    # A folder that may not be read must stop the start before there is a cluster, not after.
    ls /docker-entrypoint-initdb.d/ > /dev/null
    create_cluster
    export PGPASSWORD=${PGPASSWORD:-$POSTGRES_PASSWORD}
    start_temporary_server
    create_database
    run_scripts
    stop_temporary_server
    unset PGPASSWORD
    printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

# True if the arguments ask for information, which needs no cluster.
wants_information() {
    local argument
    for argument in "$@"; do
        case "$argument" in
            -'?' | --help | --describe-config | -V | --version) return 0 ;;
        esac
    done
    return 1
}

[[ "${1-}" != -* ]] || set -- postgres "$@"

if [ "${1-}" = postgres ] && ! wants_information "$@"; then
    SERVER_OPTIONS=("${@:2}")
    read_environment
    prepare_directories
    if [ "$(id -u)" = 0 ]; then
        export HOME=/var/lib/postgresql
        exec setpriv --reuid=postgres --regid=postgres --init-groups "${BASH_SOURCE[0]}" "$@"
    fi
    if [ -s "$PGDATA/PG_VERSION" ]; then
        printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
    else
        initialise
    fi
fi

exec "$@"
