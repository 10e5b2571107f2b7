"""The command doctor: check the environment, and collect facts for bug reports."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

import click

from ..databases import BUILTIN
from ..lifecycle.cache import first_line
from ..model.database_type import DatabaseType
from ..model.errors import ImageUnavailable, InvalidRequest, LdbError
from ..model.request import LABEL
from .context import Context, pass_context
from .output import json_option, say, write_json, write_table
from .selftest import NOTE, OK, PROBLEM, Finding, SelfTest
from .stale import StaleResources

PACKAGES = ("pytest-ldb", "pytest", "pytest-xdist", "docker", "filelock")
LITTLE_MEMORY_BYTES = 2 << 30
CHEAPEST_FIRST = ("redis", "postgres", "mongodb", "mysql")


@click.command(short_help="Check the environment and suggest fixes.")
@json_option
@pass_context
def doctor(here: Context, *, as_json: bool) -> None:
    """Check the environment, start a server as a test, and suggest fixes.

    The exit code is 1 if a problem is found.
    """
    findings = list(_findings(here))
    if as_json:
        write_json([asdict(finding) for finding in findings])
    else:
        rows = [(one.topic, one.level, _sentence(one)) for one in findings]
        write_table(("TOPIC", "STATE", "FINDING"), rows)
    problems = sum(finding.level == PROBLEM for finding in findings)
    if problems:
        say(f"{problems} problem{'s' if problems > 1 else ''}")
        raise click.exceptions.Exit(1)


def _sentence(finding: Finding) -> str:
    return f"{finding.fact}. {finding.remedy}" if finding.remedy else finding.fact


def _findings(here: Context) -> Iterator[Finding]:
    yield Finding("versions", OK, ", ".join(map(_version, PACKAGES)))
    yield Finding("python", OK, f"{platform.python_version()}, {platform.platform()}")
    yield from _variables()
    try:
        _ = here.identity  # Created or read: fails if the directory is not usable.
        yield Finding("state", OK, str(here.state))
        for look in (_engine, _images, _cache, _servers):
            yield from look(here)
    except LdbError as error:
        yield Finding.of("engine", error)


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def _variables() -> Iterator[Finding]:
    """List the variables that pytest-ldb reads; values of URLs are hidden, as of passwords."""
    names = [name for name in sorted(os.environ) if name.startswith(("LDB_", "DOCKER_"))]
    shown = [name if name.endswith("_URL") else f"{name}={os.environ[name]}" for name in names]
    if shown:
        yield Finding("variables", OK, ", ".join(shown))


def _engine(here: Context) -> Iterator[Finding]:
    about = here.engine.about()
    who = "rootless" if about.rootless else "as root"
    place = "on this machine" if about.local else "on another machine"
    fact = f"{about.product} {about.version}, API {about.api}, {who}, {place}, {about.system}"
    yield Finding("engine", OK, f"{fact}, storage {about.storage}")
    yield Finding("address", OK, f"{about.url}, from {about.chosen_by}")
    memory = f"{about.cpus} processors, {about.memory_bytes / 1e9:.1f} GB of memory"
    if about.memory_bytes < LITTLE_MEMORY_BYTES:
        remedy = "Data is kept in memory: give the engine 2 GB or more, or use --ldb-durable."
        yield Finding("memory", NOTE, memory, remedy)
    else:
        yield Finding("memory", OK, memory)
    try:
        yield Finding("ports", OK, f"published on {here.engine.bind(None)}")
    except InvalidRequest as error:
        yield Finding("ports", NOTE, error.fact, error.remedy)


def _images(here: Context) -> Iterator[Finding]:
    present: list[DatabaseType] = []
    for database_type in BUILTIN:
        reference = here.settings.image_for(database_type.name, database_type.image)
        try:
            image = here.engine.image(reference, pull="never", say=say)
        except ImageUnavailable:
            remedy = f"The first run pulls it, or `pytest-ldb pull {database_type.name}`."
            yield Finding("image", NOTE, f"{reference} is not present", remedy)
        else:
            present.append(database_type)
            fact = f"{reference}, {image.id[7:19]}, {image.size_bytes / 1e6:.0f} MB"
            yield Finding("image", OK, fact)
    yield from _trial(here, present)


def _trial(here: Context, database_types: list[DatabaseType]) -> Iterator[Finding]:
    if not database_types:
        remedy = "Pull one (`pytest-ldb pull redis`), and run `pytest-ldb doctor` again."
        yield Finding("server", NOTE, "not tested, as no image is present", remedy)
        return
    cheapest = min(
        database_types, key=lambda database_type: CHEAPEST_FIRST.index(database_type.name)
    )
    yield from SelfTest(here.planner).findings(cheapest)


def _cache(here: Context) -> Iterator[Finding]:
    known = [cached for cached, _ in here.cache.known()]
    usable = [cached for cached in known if cached.image]
    yield Finding("cache", OK, f"{len(usable)} cached servers; `pytest-ldb cache` lists them")
    for cached in known:
        if cached.failure:
            when = "in the next run" if cached.passing else "after a day"
            remedy = f"It is tried again {when}, or after `pytest-ldb cache --delete`."
            yield Finding("cache", NOTE, f"of {cached.base}: {first_line(cached.failure)}", remedy)


def _servers(here: Context) -> Iterator[Finding]:
    servers = here.inventory.servers()
    yield Finding("servers", OK, f"{len(servers)} of yours; `pytest-ldb list` lists them")
    stale = StaleResources(here.engine, here.inventory, here.cache, here.state / "locks")
    for found in stale.found(servers, volumes=True):
        flag = " --volumes" if found.what == "volume" else ""
        remedy = f"`pytest-ldb prune{flag}` removes it."
        yield Finding("stale", NOTE, f"{found.what} {found.name}: {found.why}", remedy)
    for container in here.engine.containers({f"{LABEL}schema": ""}):
        user = container.labels.get(f"{LABEL}user", "unknown")
        if user != here.identity.mark:
            fact = f"{container.name}, {container.state}, belongs to another user, {user}"
            yield Finding("others", OK, fact)
