#!/bin/bash
# Starts MySQL the way the official image does: the first start creates the data directory, and
# fills it through a server that listens on the socket alone.
set -Eeuo pipefail

SCRIPTS=/docker-entrypoint-initdb.d

say() {
    printf '%s [%s] [Entrypoint]: %s\n' "$(date --rfc-3339=seconds)" "$1" "$2"
}

fail() {
    say ERROR "$1" >&2
    exit 1
}

# from_file NAME [DEFAULT]: takes the value of NAME from the file that NAME_FILE names (a Docker
# secret), if one is named.
from_file() {
    local name=$1 file_name=${1}_FILE value=${2-}
    if [ "${!name:-}" ] && [ "${!file_name:-}" ]; then
        fail "Both $name and $file_name are set (but are exclusive)"
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
    from_file MYSQL_ROOT_HOST '%'
    from_file MYSQL_ROOT_PASSWORD
    from_file MYSQL_DATABASE
    from_file MYSQL_USER
    from_file MYSQL_PASSWORD
}

# setting NAME DEFAULT ARGUMENT...: the value the server will use; arguments win over files.
setting() {
    local name=$1 value=$2 line
    shift 2
    while read -r line; do
        [[ "${line//_/-}" != "--$name="* ]] || value=${line#*=}
    done < <(my_print_defaults mysqld server; printf '%s\n' "$@")
    echo "$value"
}

prepare_directories() {
    local directory
    for directory in "$DATA" "$(dirname "$SOCKET")"; do
        mkdir -p "$directory"
        if [ "$(id -u)" = 0 ]; then
            find "$directory" ! -user mysql -exec chown --no-dereference mysql {} +
        fi
    done
}

require_password() {
    if [ -z "$MYSQL_ROOT_PASSWORD${MYSQL_ALLOW_EMPTY_PASSWORD:-}${MYSQL_RANDOM_ROOT_PASSWORD:-}" ]; then
        fail 'Database is uninitialized and password option is not specified
    You need to specify one of the following as an environment variable:
    - MYSQL_ROOT_PASSWORD
    - MYSQL_ALLOW_EMPTY_PASSWORD
    - MYSQL_RANDOM_ROOT_PASSWORD'
    fi
    if [ "$MYSQL_USER" = root ]; then
        fail 'MYSQL_USER="root", MYSQL_USER and MYSQL_PASSWORD are for configuring a regular user and cannot be used for the root user
    Remove MYSQL_USER="root" and use one of the following to control the root user password:
    - MYSQL_ROOT_PASSWORD
    - MYSQL_ALLOW_EMPTY_PASSWORD
    - MYSQL_RANDOM_ROOT_PASSWORD'
    fi
    if [ "$MYSQL_USER" ] && [ -z "$MYSQL_PASSWORD" ]; then
        say Warn 'MYSQL_USER specified, but missing MYSQL_PASSWORD; MYSQL_USER will not be created'
    elif [ -z "$MYSQL_USER" ] && [ "$MYSQL_PASSWORD" ]; then
        say Warn 'MYSQL_PASSWORD specified, but missing MYSQL_USER; MYSQL_USER will not be created'
    fi
}

create_data_directory() {
    say Note 'Initializing database files'
    "$@" --initialize-insecure --default-time-zone=SYSTEM --autocommit=1
    say Note 'Database files initialized'
}

start_temporary_server() {
    say Note 'Starting temporary server'
    # With --daemonize the command returns when the server listens; nothing has to be polled.
    "$@" --daemonize --skip-networking --default-time-zone=SYSTEM --socket="$SOCKET" \
        || fail 'Unable to start server.'
    say Note 'Temporary server started.'
}

# Root has no password at first. Clients read it from a file: the command line is visible to others.
ROOT_PASSWORD_IN_USE=
password_file() {
    local password=${ROOT_PASSWORD_IN_USE//\\/\\\\}
    printf '[client]\npassword="%s"\n' "${password//\"/\\\"}"
}

stop_temporary_server() {
    say Note 'Stopping temporary server'
    mysqladmin --defaults-extra-file=<(password_file) --user=root --socket="$SOCKET" shutdown \
        || fail 'Unable to shut down server.'
    say Note 'Temporary server stopped'
}

# Reads statements from standard input; called by scripts, too.
docker_process_sql() {
    mysql --defaults-extra-file=<(password_file) --protocol=socket --user=root --host=localhost \
        --socket="$SOCKET" --comments --database="$MYSQL_DATABASE" "$@"
}

# literal TEXT: prints TEXT fit to stand between single quotes.
literal() {
    local text=${1//\\/\\\\}
    printf '%s' "${text//\'/\\\'}"
}

# Statements of a user's making go into no binary log, so that replicas do not inherit them.
create_root() {
    local password
    if [ "${MYSQL_RANDOM_ROOT_PASSWORD:-}" ]; then
        MYSQL_ROOT_PASSWORD=$(openssl rand -base64 24)
        say Note "GENERATED ROOT PASSWORD: $MYSQL_ROOT_PASSWORD"
    fi
    password=$(literal "$MYSQL_ROOT_PASSWORD")
    {
        echo 'SET @@SESSION.SQL_LOG_BIN=0;'
        echo "ALTER USER 'root'@'localhost' IDENTIFIED BY '$password';"
        echo "GRANT ALL ON *.* TO 'root'@'localhost' WITH GRANT OPTION;"
        if [ "$MYSQL_ROOT_HOST" ] && [ "$MYSQL_ROOT_HOST" != localhost ]; then
            echo "CREATE USER 'root'@'$MYSQL_ROOT_HOST' IDENTIFIED BY '$password';"
            echo "GRANT ALL ON *.* TO 'root'@'$MYSQL_ROOT_HOST' WITH GRANT OPTION;"
        fi
        echo 'FLUSH PRIVILEGES; DROP DATABASE IF EXISTS test;'
    } | MYSQL_DATABASE=mysql docker_process_sql --binary-mode
    ROOT_PASSWORD_IN_USE=$MYSQL_ROOT_PASSWORD
}

create_database_and_user() {
    local database=$MYSQL_DATABASE
    {
        if [ "$database" ]; then
            say Note "Creating database $database" >&2
            echo "CREATE DATABASE IF NOT EXISTS \`$database\`;"
        fi
        if [ "$MYSQL_USER" ] && [ "$MYSQL_PASSWORD" ]; then
            say Note "Creating user $MYSQL_USER" >&2
            echo "CREATE USER '$MYSQL_USER'@'%' IDENTIFIED BY '$(literal "$MYSQL_PASSWORD")';"
            # An underscore would stand for any character here.
            [ -z "$database" ] || echo "GRANT ALL ON \`${database//_/\\_}\`.* TO '$MYSQL_USER'@'%';"
        fi
    } | MYSQL_DATABASE=mysql docker_process_sql --binary-mode
}

load_time_zones() {
    if [ -z "${MYSQL_INITDB_SKIP_TZINFO:-}" ]; then
        mysql_tzinfo_to_sql /usr/share/zoneinfo 2> /dev/null \
            | MYSQL_DATABASE=mysql docker_process_sql --force
    fi
}

run_scripts() {
    local script
    for script in "$SCRIPTS"/*; do
        case "$script" in
            *.sh)
                if [ -x "$script" ]; then
                    say Note "$0: running $script"
                    "$script"
                else
                    say Note "$0: sourcing $script"
                    . "$script"
                fi ;;
            *.sql) say Note "$0: running $script"; docker_process_sql < "$script" ;;
            *.sql.bz2) say Note "$0: running $script"; bunzip2 -c "$script" | docker_process_sql ;;
            *.sql.gz) say Note "$0: running $script"; gunzip -c "$script" | docker_process_sql ;;
            *.sql.xz) say Note "$0: running $script"; xzcat "$script" | docker_process_sql ;;
            *.sql.zst) say Note "$0: running $script"; zstd -dc "$script" | docker_process_sql ;;
            "$SCRIPTS/*") ;;
            *) say Warn "$0: ignoring $script" ;;
        esac
    done
}

initialise() {
    require_password
    # A folder that may not be read must stop the start before there are data, not after.
    ls "$SCRIPTS" > /dev/null
    create_data_directory "$@"
    start_temporary_server "$@"
    load_time_zones
    create_root
    create_database_and_user
    run_scripts
    stop_temporary_server
    say Note 'MySQL init process done. Ready for start up.'
}

# True if the arguments ask for information, which needs no data.
wants_information() {
    local argument
    for argument in "$@"; do
        case "$argument" in
            -'?' | --help | --print-defaults | -V | --version) return 0 ;;
        esac
    done
    return 1
}

[[ "${1-}" != -* ]] || set -- mysqld "$@"

if [ "${1-}" = mysqld ] && ! wants_information "$@"; then
    DATA=$(setting datadir /var/lib/mysql "$@")
    SOCKET=$(setting socket /var/run/mysqld/mysqld.sock "$@")
    prepare_directories
    if [ "$(id -u)" = 0 ]; then
        say Note "Switching to dedicated user 'mysql'"
        exec setpriv --reuid=mysql --regid=mysql --clear-groups "${BASH_SOURCE[0]}" "$@"
    fi
    read_environment
    [ -d "$DATA/mysql" ] || initialise "$@"
fi

exec "$@"
