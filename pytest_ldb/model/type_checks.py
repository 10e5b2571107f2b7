"""Checks of a database type, run when it is declared."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import InvalidRequest

if TYPE_CHECKING:
    from .database_type import DatabaseType

PLACEHOLDER = re.compile(
    r"\{(user|password|database|template|host|port|file|mark|thing|thing_hex)\}"
)
_ANY_WORD = re.compile(r"\{(\w+)\}")

FIXTURE_ENDINGS = ("_db", "_setup")
"""What follows ``ldb_<name>`` in the names of a type's other fixtures."""

_TUPLES = (
    *("aliases", "command", "init_scripts", "server.arguments", "server.tuning"),
    *("server.data_paths", "client.argv", "client.terminal"),
)
_STATEMENTS = (
    *("operations.create", "operations.clone", "operations.drop", "operations.disconnect"),
    *("operations.load", "operations.seal", "operations.unseal", "operations.export"),
    *("reset.inspect", "reset.survey", "reset.repair", "reset.writes"),
)

_SERVER = ("user", "password", "host", "port")
_DATABASE = (*_SERVER, "database")
_COMMANDS = {
    "command": _DATABASE,
    "server.arguments": _DATABASE,
    "server.tuning": _DATABASE,
    "client.argv": _SERVER,
    "client.mark": ("mark",),
    "client.terminal": _DATABASE,
    **dict.fromkeys(_STATEMENTS, _DATABASE),
    "operations.clone": (*_DATABASE, "template"),
    "operations.load": (*_DATABASE, "file"),
    "reset.survey": (*_DATABASE, "template"),
    "reset.repair": (*_DATABASE, "template", "thing", "thing_hex"),
}
"""What may stand in braces; other words in braces are the client's or the shell's own."""


def check(database_type: DatabaseType) -> None:
    """Raise an error if a part of a declaration contradicts another, or could not work.

    Raises:
        InvalidRequest: Says which part, and what to write instead.
    """
    for problem, remedy in _problems(database_type):
        raise InvalidRequest(f"DatabaseType {database_type.name!r}", problem, remedy=remedy)


def check_together(database_types: Iterable[DatabaseType]) -> None:
    """Raise an error if two types have a name or an alias in common.

    A type that ``dataclasses.replace`` made from another one has that one's aliases too. They keep
    naming the first.

    Raises:
        InvalidRequest: Says which.
    """
    taken: dict[str, DatabaseType] = {}
    for database_type in database_types:
        for name in database_type.names:
            first = taken.setdefault(name, database_type)
            # `replace` passes on the same tuple; two that are only equal were written by the user.
            inherited = name in database_type.aliases and first.aliases is database_type.aliases
            if first is not database_type and not inherited:
                raise InvalidRequest(
                    f"DatabaseType {database_type.name!r}",
                    f"{name!r} is already a name of the database type {first.name!r}",
                    remedy="Choose another name, or other aliases.",
                )


def _problems(database_type: DatabaseType) -> Iterator[tuple[str, str]]:
    yield from _in_tuples(database_type)
    yield from _in_names(database_type)
    yield from _in_statements(database_type)
    yield from _in_commands(database_type)
    yield from _in_values(database_type)
    yield from _in_patterns(database_type)
    yield from _in_init_scripts(database_type)


def _in_names(database_type: DatabaseType) -> Iterator[tuple[str, str]]:
    name = database_type.name
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        yield "its name must be lower-case letters, digits and underscores", ""
    for ending in FIXTURE_ENDINGS:
        if name.endswith(ending):
            stem = name.removesuffix(ending)
            taken = f"ldb_{name} is a fixture of a database type that is called {stem!r}"
            yield f"its name must not end in {ending}: {taken}", "Choose another name."
    for alias in database_type.aliases:
        if not re.fullmatch("[a-z][a-z0-9_.-]*", alias):
            yield f"its alias {alias!r} must be lower-case letters, digits and any of _.-", ""
        if database_type.names.count(alias) > 1:
            yield f"its alias {alias!r} is given twice, or is its name", ""


def _in_tuples(database_type: DatabaseType) -> Iterator[tuple[str, str]]:
    for path in _TUPLES:
        value = attrgetter(path)(database_type)
        if isinstance(value, (str, Path)):
            yield f"{path} must be a tuple, with a comma if it has one part", ""


def _in_statements(database_type: DatabaseType) -> Iterator[tuple[str, str]]:
    client = database_type.client
    if client.mark and "{mark}" not in client.mark:
        yield "client.mark must contain {mark}", ""
    if client.argv and client.mark:
        return
    for path in _STATEMENTS:
        value = attrgetter(path)(database_type)
        if value and isinstance(value, str):
            yield (
                f"{path} is a string, which needs a client, but client.argv or .mark is not set",
                "Set client.argv and client.mark, or write a command as a tuple.",
            )


def _in_commands(database_type: DatabaseType) -> Iterator[tuple[str, str]]:
    for path, allowed in _COMMANDS.items():
        value = attrgetter(path)(database_type)
        for text in value if isinstance(value, (tuple, list)) else (value,):
            if not isinstance(text, str):
                yield _not_a_string(path, text)
            elif unknown := set(PLACEHOLDER.findall(text)).difference(allowed):
                yield _unknown(path, unknown.pop(), allowed)


def _in_values(database_type: DatabaseType) -> Iterator[tuple[str, str]]:
    addresses = database_type.addresses
    drivers = [
        value
        for arguments in addresses.drivers.values()
        for value in arguments.values()
        if value != "{url}"
    ]
    texts: dict[str, Iterable[object]] = {
        "server.credential_environment": database_type.server.credential_environment.values(),
        "client.environment": database_type.client.environment.values(),
        "addresses.url": (addresses.url,),
        "addresses.drivers": drivers,
        "addresses.env": addresses.env.values(),
    }
    for path, text in [(path, text) for path, values in texts.items() for text in values]:
        if not isinstance(text, str):
            yield _not_a_string(path, text)
        elif unknown := set(_ANY_WORD.findall(text)).difference(_DATABASE):
            yield _unknown(path, unknown.pop(), _DATABASE)


def _not_a_string(path: str, value: object) -> tuple[str, str]:
    return f"{path} contains {value!r}, which is not a string", ""


def _unknown(path: str, word: str, allowed: Iterable[str]) -> tuple[str, str]:
    there = ", ".join(f"{{{name}}}" for name in allowed)
    return f"{path} contains {{{word}}}, which is not a placeholder there", f"Use {there}."


def _in_patterns(database_type: DatabaseType) -> Iterator[tuple[str, str]]:
    for path in ("log.entry", "log.noise", "ready.ready", "operations.leaves"):
        pattern: str | bytes = attrgetter(path)(database_type)
        try:
            groups = re.compile(pattern).groupindex
        except re.error as error:
            yield f"{path} is not a regular expression: {error}: {pattern!r}", ""
        else:
            if path == "operations.leaves" and pattern and "database" not in groups:
                yield f"{path} has no group `database`: {pattern!r}", ""


def _in_init_scripts(database_type: DatabaseType) -> Iterator[tuple[str, str]]:
    names = [Path(script).name for script in database_type.init_scripts]
    for name in names:
        if names.count(name) > 1:
            yield f"two init scripts are called {name}", ""
    if names and not database_type.server.init_directory:
        yield "its image runs no init scripts, as server.init_directory is not set", ""
