#!/usr/bin/env python3
"""Give this machine a Docker engine, and images of real databases for the tests and the demo.

  prepare.py                an engine, and the main set of images
  prepare.py --all          the same, and the images that only some tests need
  prepare.py postgres:17    an engine, and the images named
  prepare.py --env          the same as the first; prints LDB_POSTGRES_IMAGE=... for each type
  prepare.py --run pytest   the same; runs the command with these variables set
  prepare.py --libraries    install what drivers without wheels are built against, on Debian
  prepare.py --stop         stop the engine, if it was started by this script

To use the images in a shell:  export $(python tests/engine/prepare.py --env)

The engine is the one that answers to the command `docker`. Where none does, root on Debian gets
one: docker.io is installed if needed, and dockerd is started in the background, also after an
engine was killed. Its log and its process id are in
~/.local/state/pytest-ldb/engine (or below $XDG_STATE_HOME).

The images are the official ones where the engine can pull them. Elsewhere they are built: from
packages of Debian, of PyPI (MongoDB's server) and of npm (its shell), with entrypoints that behave
like those of the official images. They are called localhost/pytest-ldb/<database>:<version>,
have a digest of their contents as a label, and are built again only if that changes.

All downloads are made on this machine, none in a container: by apt (and mmdebstrap for it), pip,
npm and the engine, with the settings that these find by themselves. So the mirrors, certificates
and proxies are those that this machine is set up for. A download that fails shows the settings.

Several of these may run at once. Standard output has what --env or the command prints, and nothing
else. Variables that are set already keep their values. An engine that was started stays until
--stop.

From Python, with this folder on the path:  prepare.image("postgres:17")
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

import bootstrap
import builder
import dockerd
from recipes import ALL, MAIN, Recipe
from steps import Failure, alone, say

DRIVER_LIBRARIES = {"mysql_config": "default-libmysqlclient-dev", "pkg-config": "pkg-config"}
"""Debian's packages that building mysqlclient needs, by a program that each brings."""


def image(name: str) -> str:
    """The reference of an image such as "postgres:17", after making sure that the engine has it."""
    return images([name])[name]


def images(names: Iterable[str]) -> dict[str, str]:
    """The references of several images by name, after making sure that the engine has them."""
    return dict(zip(names := tuple(names), _images(names), strict=True))


@functools.cache
def _images(names: tuple[str, ...]) -> tuple[str, ...]:
    recipes = [_recipe(name) for name in names]
    place = dockerd.Place()
    found: dict[str, str] = {}
    if dockerd.answers():
        found = builder.find(recipes)
    if len(found) < len(recipes):
        with alone():
            dockerd.ensure(place)
            found = builder.provide(recipes)
    return tuple(found[name] for name in names)


def _recipe(name: str) -> Recipe:
    try:
        return ALL[name]
    except KeyError:
        raise Failure(f"There is no image {name!r}. There are: {', '.join(sorted(ALL))}.") from None


def environment(references: dict[str, str]) -> dict[str, str]:
    """The variables that make the tests use these images; of two for one database, the first."""
    variables: dict[str, str] = {}
    for name, reference in references.items():
        variables.setdefault(f"LDB_{ALL[name].database.upper()}_IMAGE", reference)
    return dict(sorted(variables.items()))


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="prepare.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("image", nargs="*", help=f"one of {', '.join(sorted(ALL))}")
    parser.add_argument(
        "--all", action="store_true", help="provide every image there is a recipe for"
    )
    parser.add_argument(
        "--env", action="store_true", help="print variables that make the tests use the images"
    )
    parser.add_argument(
        "--libraries", action="store_true", help="install what mysqlclient is built against"
    )
    parser.add_argument(
        "--stop", action="store_true", help="end the engine that this script started"
    )
    parser.add_argument(
        "--run",
        nargs=argparse.REMAINDER,
        metavar="COMMAND",
        help="run a command, with its arguments, that uses the images; comes last",
    )
    options = parser.parse_args(arguments)
    if options.run == []:
        parser.error("--run needs a command")
    return options


def _prepare(options: argparse.Namespace) -> None:
    if options.stop:
        with alone():
            dockerd.stop(dockerd.Place())
        return
    if options.libraries:
        with alone():
            bootstrap.require(**DRIVER_LIBRARIES)
        return
    names = [*options.image] or [recipe.name for recipe in MAIN]
    if options.all:
        names += [name for name in ALL if name not in names]
    references = images(names)
    for name, reference in references.items():
        say(f"{name}: {reference}")
    if options.run:
        _become(options.run, environment(references))
    if options.env:
        print("\n".join(f"{name}={value}" for name, value in environment(references).items()))


def _become(command: list[str], variables: dict[str, str]) -> NoReturn:
    """Replace this process by another program, so that signals and the exit code are its own."""
    try:
        os.execvpe(command[0], command, variables | os.environ)
    except OSError as error:
        raise Failure(f"{command[0]} cannot be run: {error.strerror}.") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out the command line; failures become messages."""
    try:
        _prepare(_arguments(arguments))
    except Failure as failure:
        say(f"prepare.py: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
