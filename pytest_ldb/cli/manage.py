"""The commands that change servers: create, start, stop, restart, delete."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

import click

from ..databases import BUILTIN
from ..engines.protocol import Volume
from ..model.errors import InstanceNotFound, LdbError
from ..model.instance import Instance, type_named
from .completion import complete_server, complete_type
from .context import Context, pass_context
from .inventory import Server, refuse_if_used
from .output import say, show_error, waiting
from .ports import naming_the_listener

names_argument = click.argument(
    "names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_server
)
force_option = click.option("--force", is_flag=True, help="Even if processes use it.")


@click.command(short_help="Create and start a server that stays.")
@click.argument("type_name", metavar="TYPE", shell_complete=complete_type)
@click.option(
    "--name",
    default="",
    metavar="NAME",
    help="Its name (default: the type's, with a number if taken).",
)
@click.option("--image", metavar="REFERENCE", help="The image to run.")
@click.option(
    "--port", type=click.IntRange(1, 65535), metavar="PORT", help="The port to publish it on."
)
@click.option(
    "--volume", default="", metavar="NAME", help="The volume for its data (default: ldb-NAME)."
)
@pass_context
def create(
    here: Context, *, type_name: str, name: str, image: str | None, port: int | None, volume: str
) -> None:
    """Create and start a server that stays until it is deleted, and write its name.

    TYPE is postgres, mysql, mongodb or redis. The data is in a volume, which outlives the server.
    A volume that is there already is used again, with what is in it.
    """
    began = time.monotonic()
    database_type = type_named(type_name, BUILTIN)
    with (
        naming_the_listener(here.engine, name or database_type.name),
        waiting(f"creating {database_type.name}"),
    ):
        instance = here.standalone.create(
            database_type, image=image, name=name, port=port, volume=volume
        )
    click.echo(instance.name)
    took = f"{time.monotonic() - began:.1f} s"
    say(f"created from {instance.image} in {took}; `pytest-ldb url {instance.name}` tells where")


@click.command(short_help="Start servers.")
@names_argument
@pass_context
def start(here: Context, *, names: Sequence[str]) -> None:
    """Start servers, wait until they are ready, and write their names.

    The port may be another one than before, unless it was chosen when the server was created.
    """
    _each(here, names, lambda server: here.lifecycle.start(server.instance), force=True)


@click.command(short_help="Stop servers; data in volumes stays.")
@names_argument
@force_option
@pass_context
def stop(here: Context, *, names: Sequence[str], force: bool) -> None:
    """Stop servers the way their images ask for, and write their names.

    Data in volumes stays. What test runs keep is in memory, and is gone.
    """
    _each(here, names, lambda server: here.lifecycle.stop(server.instance), force=force)


@click.command(short_help="Stop servers and start them again.")
@names_argument
@force_option
@pass_context
def restart(here: Context, *, names: Sequence[str], force: bool) -> None:
    """Stop servers, start them again, wait until they are ready, and write their names."""
    _each(here, names, lambda server: here.lifecycle.restart(server.instance), force=force)


@click.command(short_help="Delete servers; volumes stay unless told otherwise.")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_server)
@click.option("--all", "everything", is_flag=True, help="All servers of this user.")
@click.option("--volumes", is_flag=True, help="Their volumes too: then the data is gone.")
@force_option
@pass_context
def delete(
    here: Context, *, names: Sequence[str], everything: bool, volumes: bool, force: bool
) -> None:
    """Delete servers, running or not, and write their names; volumes stay unless told otherwise.

    With --volumes NAME may also be a server that is gone and has left its volume.
    """
    if everything == bool(names):
        raise click.UsageError("Name servers, or say --all.")
    servers, orphans = _named(here, names, volumes=volumes)
    if everything:
        servers = here.inventory.servers()
        orphans = here.inventory.orphans(servers) if volumes else []

    def remove(server: Server) -> None:
        mine = here.inventory.volumes_of(server) if volumes else []
        here.lifecycle.delete(server.instance)
        _remove(here, mine)
        if server.volumes and not volumes:
            say(f"{server.instance.name}: its data stays in the volume {', '.join(server.volumes)}")

    _remove(here, orphans)
    _act(servers, remove, force=force)


def _named(
    here: Context, names: Sequence[str], *, volumes: bool
) -> tuple[list[Server], list[Volume]]:
    """Return the servers with these names, and the volumes of those that have left nothing else."""
    servers: dict[UUID, Server] = {}
    orphans: list[Volume] = []
    for name in names:
        try:
            server = here.inventory.find(name)
            servers[server.instance.id] = server
        except InstanceNotFound:  # noqa: PERF203 - each turn talks to the engine
            left = here.inventory.volumes(name) if volumes else []
            if not left:
                raise
            orphans += left
    return list(servers.values()), orphans


def _remove(here: Context, volumes: Iterable[Volume]) -> None:
    for volume in volumes:
        here.engine.remove_volume(volume.name)
        say(f"deleted the volume {volume.name}")


def _each(
    here: Context, names: Sequence[str], act: Callable[[Server], Instance], *, force: bool
) -> None:
    """Do something to each server, once all names are known to be right, and tell how it is."""

    def act_and_tell(server: Server) -> None:
        name = server.instance.name
        with naming_the_listener(here.engine, name), waiting(name):
            instance = act(server)
        if instance.address is not None:
            say(f"{instance.name}: ready on {instance.address.host}:{instance.address.port}")
        elif server.in_memory:
            say(f"{instance.name}: its data was in memory, and is gone")

    _act(here.servers(names), act_and_tell, force=force)


def _act(servers: Iterable[Server], act: Callable[[Server], None], *, force: bool) -> None:
    """Do something to each server; one that fails does not keep it from the others."""
    failed = False
    for server in servers:
        try:
            if not force:
                refuse_if_used(server)
            act(server)
            click.echo(server.instance.name)
        except LdbError as error:  # noqa: PERF203 - as above
            show_error(error)
            failed = True
    if failed:
        raise click.exceptions.Exit(1)
