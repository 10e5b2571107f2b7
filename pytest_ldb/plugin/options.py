"""The options of the plugin, and where their values come from.

The command line takes precedence over the environment, and the environment over the ini file,
even if the value is `0` or empty.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Protocol

import pytest

from ..model.settings import Settings
from ..util.env import by_type, images_in


class Given(Protocol):
    """The part of ``pytest.Config`` that options are read from."""

    def getoption(self, name: str) -> Any:
        """Return the value from the command line; None if there is none."""

    def getini(self, name: str) -> Any:
        """Return the value from the ini file; None or an empty list if there is none."""


class _Wrong(ValueError):
    """An invalid value; the message describes valid ones."""


class Option:
    """One option.

    Args:
        name: ``keep`` for ``--ldb-keep``, ini ``ldb_keep`` and ``LDB_KEEP``.
        parse: Converts a string to the value; raises :class:`_Wrong`.
        text: Help text, a single phrase without a period.
        metavar: Name of the value in the help; empty for a switch.
    """

    # Not a dataclass: creating one would take most of the plugin's import time, in every run.
    __slots__ = ("help", "metavar", "name", "parse")

    def __init__(
        self, name: str, parse: Callable[[str], Any], text: str, metavar: str = ""
    ) -> None:
        self.name = name
        self.parse = parse
        self.help = text
        self.metavar = metavar

    @property
    def flag(self) -> str:
        """Name on the command line."""
        return f"--ldb-{self.name.replace('_', '-')}"

    @property
    def ini(self) -> str:
        """Name in pytest's ini file."""
        return f"ldb_{self.name}"

    @property
    def variable(self) -> str:
        """Name of the environment variable."""
        return f"LDB_{self.name.upper()}"


def _switch(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False, "": False}
    if text.lower() not in words:
        raise _Wrong("it takes true or false")
    return words[text.lower()]


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise _Wrong(f"it takes one of {', '.join(words)}")
        return text

    return parse


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise _Wrong("it takes a number of seconds greater than 0")
    return value


def _images(text: str) -> dict[str, str]:
    try:
        return images_in(text)
    except ValueError as error:
        raise _Wrong(str(error)) from None


def _variables(text: str) -> dict[str, str]:
    # A comma separates variables only before a NAME=; addresses may contain commas.
    pairs = [part.partition("=") for part in re.split(r"\n|,(?=\s*\w+\s*=)", text) if part.strip()]
    given = {name.strip(): expression.strip() for name, _, expression in pairs}
    if not all(re.fullmatch(r"\w+", name) and expression for name, expression in given.items()):
        raise _Wrong("it takes NAME=EXPRESSION, for example DATABASE_URL=postgres.url")
    return given


def _address(text: str) -> str:
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:  # An empty value too: engines would publish on all addresses.
        raise _Wrong("it takes an IP address, for example 0.0.0.0 for all interfaces") from None
    return text


def _text(text: str) -> str:
    return text


SEVERAL = (_images, _variables)
"""Options with these parsers can be given more than once."""

OPTIONS = (
    Option("keep", _switch, "Keep the servers after the run; the next run attaches to them"),
    Option(
        "keep_failed",
        _switch,
        "Keep the servers that failed tests used, with the databases of those tests",
    ),
    Option("recreate", _switch, "Replace kept servers with new ones"),
    Option(
        "image",
        _images,
        "Run this image for a database type, given by name or alias, for example pg=postgres:17 "
        "(repeatable)",
        "NAME=REFERENCE",
    ),
    Option(
        "image_prefix",
        _text,
        "Registry to prepend to image names that do not name one, for example "
        "mirror.example.com/hub",
        "PREFIX",
    ),
    Option(
        "pull",
        _one_of("missing", "always", "never"),
        "When to pull images: missing (default), always, never",
        "WHEN",
    ),
    Option(
        "timeout",
        _seconds,
        "Maximum time to wait for a server to become ready (default: 60)",
        "SECONDS",
    ),
    Option(
        "no_engine",
        _one_of("error", "skip"),
        "What to do with tests when no container engine is available: error (default), skip",
        "WHAT",
    ),
    Option(
        "cache",
        _one_of("auto", "always", "never"),
        "Cache the data of initialised servers: auto (default), always, never",
        "WHEN",
    ),
    Option("durable", _switch, "Keep data on disk, safe against crashes; slower"),
    Option(
        "env",
        _variables,
        "Set an environment variable before conftest files and settings are imported, for example "
        "DATABASE_URL=postgres.url (repeatable)",
        "NAME=EXPRESSION",
    ),
    Option(
        "bind",
        _address,
        "Publish databases on this address of the engine's host (default: its loopback)",
        "ADDRESS",
    ),
    Option("report", _text, "Write which servers the run used to this file, as JSON", "FILE"),
)


RUNS_NO_TEST = ("collectonly", "setupplan", "showfixtures", "show_fixtures_per_test")
"""pytest's options with which tests are collected but not run."""


def add_options(parser: pytest.Parser) -> None:
    """Declare all options; their defaults are None, which means that no value was given."""
    group = parser.getgroup(
        "ldb",
        "pytest-ldb: real databases (LDB_<NAME>_IMAGE chooses the image of one type, "
        "LDB_<NAME>_URL names an existing server)",
    )
    for option in OPTIONS:
        also = f". Environment: {option.variable}, ini: {option.ini}."
        if option.metavar:
            action = "append" if option.parse in SEVERAL else "store"
            group.addoption(
                option.flag, action=action, metavar=option.metavar, help=option.help + also
            )
        else:
            group.addoption(
                option.flag, action=argparse.BooleanOptionalAction, help=option.help + also
            )
        ini_type = "linelist" if option.parse in SEVERAL else "string"
        parser.addini(option.ini, help=option.help, type=ini_type, default=None)  # type: ignore[arg-type]


def read_options(
    config: Given, types: Mapping[str, Collection[str]], *, all_are_known: bool = True
) -> tuple[Settings, dict[str, Any]]:
    """Return the settings, and the subset of values that the user set.

    Args:
        config: pytest's configuration, or the part of it that is available early.
        types: The aliases of the database types by name.
        all_are_known: Whether ``types`` is complete, so that unknown names are errors.

    Raises:
        pytest.UsageError: A value is invalid; the message names its source.
    """
    given = {option.name: _given(config, option) for option in OPTIONS}
    values = {name: found[0] for name, found in given.items() if found}
    values.pop("image", None)
    values.pop("env", None)
    if "timeout" in values:
        values["timeout_s"] = values.pop("timeout")
    on_command_line = 1 if config.getoption("ldb_image") else 0
    given["image"].insert(on_command_line, by_type("IMAGE", types, os.environ))
    images = _merged(_by_name(some, types) for some in given["image"])
    if all_are_known:
        _check_names(images, types)
    values |= {"images": images, "urls": by_type("URL", types, os.environ)}
    given_values = {name: value for name, value in values.items() if value not in ("", {})}
    return Settings(**values), given_values


def environment_is_wanted(config: pytest.Config) -> bool:
    """Whether ``--ldb-env`` is set, before all options have been parsed."""
    asked = getattr(config.known_args_namespace, "ldb_env", None)
    return bool(asked or os.environ.get("LDB_ENV") or config.getini("ldb_env"))


def read_environment(config: Given) -> dict[str, str]:
    """Return the expressions of ``--ldb-env`` by the names of the variables.

    Raises:
        pytest.UsageError: A value is invalid; the message names its source.
    """
    option = next(option for option in OPTIONS if option.name == "env")
    return _merged(_given(config, option))


def _given(config: Given, option: Option) -> list[Any]:
    """Return the parsed values of an option, in order of precedence."""
    sources = {
        option.flag: config.getoption(f"ldb_{option.name}"),
        option.variable: os.environ.get(option.variable),
        f"ini {option.ini}": config.getini(option.ini),
    }
    return [_parsed(option, source, v) for source, v in sources.items() if v not in (None, [])]


def _parsed(option: Option, source: str, value: Any) -> Any:
    if isinstance(value, bool):
        return value
    text = "\n".join(value) if isinstance(value, list) else str(value)
    try:
        return option.parse(text)
    except _Wrong as error:
        raise pytest.UsageError(f"{source}: {text!r} is wrong, {error}.") from None


def _merged(given: Iterable[dict[str, str]]) -> dict[str, str]:
    """Merge mappings; the first value of each name wins."""
    merged: dict[str, str] = {}
    for some in given:
        merged = {**some, **merged}
    return merged


def _by_name(images: Mapping[str, str], types: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Replace aliases of types by their names; unknown names are unchanged."""
    names = {alias: name for name, aliases in types.items() for alias in (*aliases, name)}
    return {names.get(given.lower(), given): image for given, image in images.items()}


def _check_names(images: Iterable[str], names: Collection[str]) -> None:
    for name in images:
        if name not in names:
            raise pytest.UsageError(
                f"--ldb-image: there is no database type {name!r}. There are: {', '.join(names)}."
            )
