"""Reads our environment variables. Every run imports this module, so it imports very little."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def variable_for(what: str, name: str) -> str:
    """Return the environment variable that sets something for one database type."""
    return f"LDB_{name.upper().replace('-', '_')}_{what}"


def by_type(what: str, names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return ``LDB_<NAME>_<WHAT>`` for each type where it is set; empty counts as not set."""
    variables = {name: variable_for(what, name) for name in names}
    return {name: environment[v] for name, v in variables.items() if environment.get(v)}


def images_in(text: str) -> dict[str, str]:
    """Return the references in ``NAME=REFERENCE`` pairs, separated by commas or line ends.

    Raises:
        ValueError: The text has another form; the message says what is expected.
    """
    pairs = [line.strip().partition("=") for line in text.replace(",", "\n").splitlines() if line]
    if not all(name and reference for name, _, reference in pairs):
        raise ValueError("it takes NAME=REFERENCE, for example postgres=postgres:17")
    return {name.strip(): reference.strip() for name, _, reference in pairs}
