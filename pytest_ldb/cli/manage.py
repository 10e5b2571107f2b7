"""The commands that change servers: create, start, stop, restart, delete."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

import click

from ..databases import BUILTIN
from ..engines.protocol import Volume
from ..model.errors import InstanceNotFound, LdbError
from ..model.instance import Instance, type_named
from ..util import clock
from .completion import complete_server, complete_type
from .context import Context, pass_context
from .inventory import Server, refuse_if_used
from .output import say, show_error, waiting
from .ports import naming_the_listener

names_argument = click.argument(
    "names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_server
)
force_option = click.option("--force", is_flag=True, help="Act even if processes use the server.")


@click.command(short_help="Create and start a standalone server.")
@click.argument("type_name", metavar="TYPE", shell_complete=complete_type)
@click.option(
    "--name",
    default="",
    metavar="NAME",
    help="Name of the server (default: the type's name, with a number if it is in use).",
)
@click.option("--image", metavar="REFERENCE", help="Image to run.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Port to publish the server on.",
)
@click.option(
    "--volume", default="", metavar="NAME", help="Volume for the data (default: ldb-NAME)."
)
@pass_context
def create(
    here: Context, *, type_name: str, name: str, image: str | None, port: int | None, volume: str
) -> None:
    """Create and start a standalone server, and print its name.

    TYPE is postgres, mysql, mongodb or redis. The server runs until it is stopped or deleted. Its
    data is in a volume, which is kept when the server is deleted. An existing volume is used with
    its data.
    """
    began = clock.monotonic()
    database_type = type_named(type_name, BUILTIN)
    with (
        naming_the_listener(here.engine, name or database_type.name),
        waiting(f"creating {database_type.name}"),
    ):
        instance = here.standalone.create(
            database_type, image=image, name=name, port=port, volume=volume
        )
    click.echo(instance.name)
    took = f"{clock.monotonic() - began:.1f} s"
    say(f"created from {instance.image} in {took}; `pytest-ldb url {instance.name}` prints its URL")


@click.command(short_help="Start servers.")
@names_argument
@pass_context
def start(here: Context, *, names: Sequence[str]) -> None:
    """Start servers, wait until they are ready, and print their names.

    The port can differ from the previous one, unless the server was created with --port.
    """
    _each(here, names, lambda server: here.lifecycle.start(server.instance), force=True)


@click.command(short_help="Stop servers; data in volumes is kept.")
@names_argument
@force_option
@pass_context
def stop(here: Context, *, names: Sequence[str], force: bool) -> None:
    """Stop servers with the stop signals of their images, and print their names.

    Data in volumes is kept. Servers of test runs have their data in memory, and lose it.
    """
    _each(here, names, lambda server: here.lifecycle.stop(server.instance), force=force)


@click.command(short_help="Stop servers and start them again.")
@names_argument
@force_option
@pass_context
def restart(here: Context, *, names: Sequence[str], force: bool) -> None:
    """Stop servers, start them again, wait until they are ready, and print their names."""
    _each(here, names, lambda server: here.lifecycle.restart(server.instance), force=force)


@click.command(short_help="Delete servers; volumes are kept unless --volumes is given.")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_server)
@click.option("--all", "everything", is_flag=True, help="Delete all servers of this user.")
@click.option("--volumes", is_flag=True, help="Delete the volumes too, and the data in them.")
@force_option
@pass_context
def delete(
    here: Context, *, names: Sequence[str], everything: bool, volumes: bool, force: bool
) -> None:
    """Delete servers, running or not, and print their names; volumes are kept by default.

    With --volumes, NAME can also be a deleted server whose volume still exists.
    """
    if everything == bool(names):
        raise click.UsageError("Give names of servers, or --all.")
    servers, orphans = _named(here, names, volumes=volumes)
    if everything:
        servers = here.inventory.servers()
        orphans = here.inventory.orphans(servers) if volumes else []

    def remove(server: Server) -> None:
        mine = here.inventory.volumes_of(server) if volumes else []
        here.lifecycle.delete(server.instance)
        _remove(here, mine)
        if server.volumes and not volumes:
            say(f"{server.instance.name}: data kept in volume {', '.join(server.volumes)}")

    _remove(here, orphans)
    _act(servers, remove, force=force)


def _named(
    here: Context, names: Sequence[str], *, volumes: bool
) -> tuple[list[Server], list[Volume]]:
    """Return the servers with these names, and the volumes of deleted servers with these names."""
    servers: dict[UUID, Server] = {}
    orphans: list[Volume] = []
    for name in names:
        try:
            server = here.inventory.find(name)
            servers[server.instance.id] = server
        except InstanceNotFound:  # noqa: PERF203 - the request to the engine takes longer
            left = here.inventory.volumes(name) if volumes else []
            if not left:
                raise
            orphans += left
    return list(servers.values()), orphans


def _remove(here: Context, volumes: Iterable[Volume]) -> None:
    for volume in volumes:
        here.engine.remove_volume(volume.name)
        say(f"deleted volume {volume.name}")


def _each(
    here: Context, names: Sequence[str], act: Callable[[Server], Instance], *, force: bool
) -> None:
    """Resolve all names first, so that a wrong name changes no server; then act on each server."""

    def act_and_report(server: Server) -> None:
        name = server.instance.name
        with naming_the_listener(here.engine, name), waiting(name):
            instance = act(server)
        if instance.address is not None:
            say(f"{instance.name}: ready on {instance.address.host}:{instance.address.port}")
        elif server.in_memory:
            say(f"{instance.name}: its data was in memory, and is lost")

    _act(here.servers(names), act_and_report, force=force)


def _act(servers: Iterable[Server], act: Callable[[Server], None], *, force: bool) -> None:
    """Act on each server, print errors, and exit with status 1 if there were any."""
    failed = False
    for server in servers:
        try:
            if not force:
                refuse_if_used(server)
            act(server)
            click.echo(server.instance.name)
        except LdbError as error:  # noqa: PERF203 - go on with the other servers
            show_error(error)
            failed = True
    if failed:
        raise click.exceptions.Exit(1)
