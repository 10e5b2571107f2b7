"""The maintenance commands: pull, cache, prune, completion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import click
from click.shell_completion import get_completion_class
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from ..databases import BUILTIN
from ..lifecycle.cache import DAY_S, CachedServer, first_line
from ..lifecycle.cache_expiry import remove_unnamed_images
from ..model.errors import InvalidRequest, LdbError
from ..model.instance import type_named
from ..model.request import LABEL
from ..util.locks import alone
from .completion import complete_type
from .context import Context, pass_context
from .output import ASIDE, json_option, say, show_error, size, write_json, write_table
from .stale import StaleResource, StaleResources


@click.command(short_help="Pull images.")
@click.argument("names", nargs=-1, metavar="[TYPE|IMAGE]...", shell_complete=complete_type)
@pass_context
def pull(here: Context, *, names: Sequence[str]) -> None:
    """Pull the images of database types, or images by name, and print their names.

    Without arguments the images of all types are pulled. Images that are present are pulled again.
    """
    wanted = names or [database_type.name for database_type in BUILTIN]
    references = list(dict.fromkeys(_reference(here, name) for name in wanted))
    failures: list[LdbError] = []
    with _bars() as bars:
        for reference in list(references):
            try:
                _pull(here, reference, bars)
            except LdbError as error:  # noqa: PERF203 - pull the other images anyway
                failures.append(error)
                references.remove(reference)
    for reference in references:
        click.echo(reference)
    for failure in failures:
        show_error(failure)
    if failures:
        raise click.exceptions.Exit(1)


def _pull(here: Context, reference: str, bars: Progress) -> None:
    bar = bars.add_task(reference, total=None)
    try:
        here.engine.pull(
            reference, lambda done, total: bars.update(bar, completed=done, total=total)
        )
    except LdbError:
        bars.remove_task(bar)
        raise


def _bars() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=ASIDE,
        disable=not ASIDE.is_terminal,
    )


def _reference(here: Context, name: str) -> str:
    """Return the image of a database type, or the name if it is an image reference."""
    try:
        database_type = type_named(name, BUILTIN)
    except InvalidRequest:
        if ":" in name or "/" in name:
            return name
        raise
    return here.settings.image_for(database_type.name, database_type.image)


@click.command(short_help="List the cached servers that test runs start from.")
@click.option(
    "--delete", "deleting", is_flag=True, help="Delete all of them; later runs create new ones."
)
@json_option
@pass_context
def cache(here: Context, *, deleting: bool, as_json: bool) -> None:
    """List the cached copies of initialised servers that test runs start from."""
    known = list(here.cache.known())
    if deleting:
        with alone(here.state / "locks", "cache"):
            for cached, _ in known:
                here.cache.forget(cached.key)
            # Images that a kept server uses cannot be removed yet; `prune` removes them later.
            remove_unnamed_images(here.engine, here.cache)
        say(f"{len(known)} deleted")
        return
    images = here.engine.images({f"{LABEL}user": here.cache.user})
    sizes = {image.id: image.size_bytes for image in images}
    if as_json:
        write_json([_facts(one, unused_s, sizes.get(one.image)) for one, unused_s in known])
        return
    rows = [_row(one, unused_s, sizes.get(one.image)) for one, unused_s in known]
    write_table(("KEY", "TYPE", "IMAGE", "USED", "SIZE", "STATE"), rows)


def _facts(one: CachedServer, unused_s: float, size_bytes: int | None) -> dict[str, object]:
    return {**asdict(one), "unused_s": round(unused_s), "size_bytes": size_bytes}


def _row(one: CachedServer, unused_s: float, size_bytes: int | None) -> Sequence[str]:
    used = f"{unused_s / DAY_S:.0f} d ago" if unused_s > DAY_S else "today"
    failure = first_line(one.failure) or "its image was removed"
    state = failure if size_bytes is None else "ok"
    return one.key, one.type, one.base, used, size(size_bytes), state


@click.command(short_help="Remove stale containers, volumes, cached servers and images.")
@click.option("--dry-run", is_flag=True, help="Only print what would be removed.")
@click.option(
    "--volumes", is_flag=True, help="Also remove volumes of deleted servers, with their data."
)
@json_option
@pass_context
def prune(here: Context, *, dry_run: bool, volumes: bool, as_json: bool) -> None:
    """Remove stale resources: those that killed runs have left, and outdated cached servers.

    Kept and standalone servers are not removed; `pytest-ldb delete --all` deletes them.
    """
    stale = StaleResources(here.engine, here.inventory, here.cache, here.state / "locks")
    found = list(stale.found(here.inventory.servers(), volumes=volumes))
    removed = found if dry_run else [resource for resource in found if _is_removed(resource)]
    if as_json:
        write_json([{"what": one.what, "name": one.name, "why": one.why} for one in removed])
    else:
        write_table(("WHAT", "NAME", "WHY"), [(one.what, one.name, one.why) for one in removed])
    say(f"{len(removed)} {'would be ' if dry_run else ''}removed")
    if len(removed) < len(found):
        raise click.exceptions.Exit(1)


def _is_removed(resource: StaleResource) -> bool:
    """Remove a resource; print the error and return False if that fails."""
    try:
        resource.remove()
    except LdbError as error:
        show_error(error)
        return False
    return True


@click.command(short_help="Print a completion script for a shell.")
@click.argument("shell_name", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, *, shell_name: str) -> None:
    """Print a script that enables completion of this command in bash, zsh or fish.

    For bash: add eval "$(pytest-ldb completion bash)" to ~/.bashrc.
    """
    completion_class = get_completion_class(shell_name)
    assert completion_class
    root = context.find_root().command
    click.echo(completion_class(root, {}, "pytest-ldb", "_PYTEST_LDB_COMPLETE").source())
