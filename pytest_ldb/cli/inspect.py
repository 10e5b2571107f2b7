"""The commands that do not change servers: list, status, logs, url, shell."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence

import click

from ..lifecycle.container_spec import check_password, client_environment, values_inside
from ..model.database_type import render_all
from ..model.errors import InvalidRequest
from .completion import complete_server
from .context import Context, pass_context
from .inventory import Server
from .output import age, is_terminal, json_option, size, write_facts, write_json, write_table
from .terminal import is_conversation, relay

FORMATS = ("url", "libpq", "sqlalchemy", "env", "json")
FACTS = ("url", "host", "port", "user", "password", "database")
DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql"}

name_argument = click.argument("name", shell_complete=complete_server)


@click.command("list", short_help="List all servers.")
@json_option
@pass_context
def list_servers(here: Context, *, as_json: bool) -> None:
    """List all servers of this user on this engine, oldest first."""
    servers = here.inventory.servers()
    if as_json:
        write_json([server.facts() for server in servers])
        return
    heads = ("NAME", "TYPE", "IMAGE", "STATUS", "PORT", "PROJECT", "AGE", "USE", "SIZE")
    write_table(heads, [_row(server, brief=is_terminal()) for server in servers])


@click.command(short_help="Show the state of a server.")
@name_argument
@json_option
@pass_context
def status(here: Context, *, name: str, as_json: bool) -> None:
    """Show the state of a server."""
    server = here.inventory.find(name)
    if as_json:
        write_json(server.facts())
        return
    instance, address = server.instance, server.instance.address
    write_facts(
        {
            "name": instance.name,
            "status": instance.status.value,
            "type": instance.database_type,
            "image": instance.image,
            "address": f"{address.host}:{address.port}" if address else "-",
            "project": server.ownership.project or "-",
            "purpose": server.purpose,
            "processes": "-" if server.processes is None else str(server.processes),
            "data": ", ".join(server.volumes) or ("memory" if server.in_memory else "container"),
            "size": size(server.size_bytes),
            "created": instance.created_at.isoformat(timespec="seconds"),
            "age": age(instance.created_at),
            "container": server.container.name,
            "id": str(instance.id),
        }
    )


@click.command(short_help="Print the log of a server.")
@name_argument
@click.option(
    "-f", "--follow", "following", is_flag=True, help="Follow the log until the server stops."
)
@click.option(
    "--tail", type=click.IntRange(min=0), metavar="N", help="Print only the last N lines."
)
@click.option("--json", "as_json", is_flag=True, help="Print each line as a JSON object.")
@pass_context
def logs(here: Context, *, name: str, following: bool, tail: int | None, as_json: bool) -> None:
    """Print the log of a server."""
    server = here.inventory.find(name)
    log = here.engine.log(server.container.id, follow=following, tail=tail)
    try:
        for line in log:
            click.echo(json.dumps({"line": line}) if as_json else line)
    finally:
        log.close()


@click.command(short_help="Print the address of a server.")
@name_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="url",
    help="Output format: url (default), libpq (keywords and values), sqlalchemy, env (export "
    "commands for a shell), json.",
)
@click.option("--json", "form", flag_value="json", help="Same as --format json.")
@click.option("--driver", default="", metavar="NAME", help="Driver for --format sqlalchemy.")
@click.option(
    "--database",
    default="",
    metavar="NAME",
    help="Name of a database (default: the initial database of the server).",
)
@pass_context
def url(here: Context, *, name: str, form: str, driver: str, database: str) -> None:
    """Print the address of a server, including the password, in a format for other programs."""
    found = here.database(here.inventory.find(name), database)
    if form == "url":
        click.echo(found.url)
    elif form == "sqlalchemy":
        dialect = found.database_type.addresses.dialect
        click.echo(found.sqlalchemy_url(driver or DRIVERS.get(dialect, "")))
    elif form == "libpq":
        values = found.connect_args("psycopg").items()
        click.echo(" ".join(f"{key}={_libpq_value(str(value))}" for key, value in values))
    elif form == "env":
        for key, value in {**found.env, "DATABASE_URL": found.url}.items():
            click.echo(f"export {key}={shlex.quote(value)}")
    else:
        write_json({name: getattr(found, name) for name in FACTS})


@click.command(
    context_settings={"ignore_unknown_options": True},
    short_help="Open the database's client on a server.",
)
@name_argument
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@pass_context
def shell(here: Context, *, name: str, arguments: Sequence[str]) -> int:
    """Open the database's client (psql, mysql, mongosh, redis-cli) on a server.

    The client runs inside the container. ARGUMENTS are passed to it. It also reads statements from
    a pipe.
    """
    server = here.inventory.find(name)
    database_type, credentials = here.database_type(server), server.instance.credentials
    if not database_type.client.terminal:
        raise InvalidRequest(database_type.name, "this database type does not define `terminal`")
    here.database(server).address  # noqa: B018 - raises if the server is not running
    check_password(server.container, database_type, credentials)
    values = values_inside(database_type, credentials)
    execution = here.engine.execute(
        server.container.id,
        [*render_all(database_type.client.terminal, values), *arguments],
        environment=client_environment(database_type, credentials),
        tty=is_conversation(),
    )
    return relay(execution)


def _row(server: Server, *, brief: bool) -> list[str]:
    """Return the cells of a server; ``brief`` shortens images and projects for a terminal."""
    instance, project = server.instance, server.ownership.project
    return [
        instance.name,
        instance.database_type,
        instance.image.rpartition("/")[2] if brief else instance.image,
        instance.status.value,
        str(instance.address.port) if instance.address else "-",
        (project.rpartition("-")[0] if brief else project) or "-",
        age(instance.created_at),
        _use(server),
        size(server.size_bytes),
    ]


def _use(server: Server) -> str:
    """Return the purpose of a server and the number of processes that use it."""
    if not server.processes:
        return server.purpose
    plural = "es" if server.processes > 1 else ""
    return f"{server.purpose}, {server.processes} process{plural}"


def _libpq_value(text: str) -> str:
    """Quote a value if necessary (PostgreSQL documentation, "Connection Strings")."""
    escaped = re.sub(r"(['\\])", r"\\\1", text)
    return text if re.fullmatch(r"[^\s'\\]+", text) else f"'{escaped}'"
