"""Completion of command line arguments in a shell."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from ..databases import BUILTIN
from ..model.errors import LdbError
from .context import Context, settings_from


def complete_type(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the name of a database type."""
    return [
        CompletionItem(database_type.name)
        for database_type in BUILTIN
        if database_type.name.startswith(incomplete)
    ]


def complete_server(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the name of a server; offer none on errors, as a shell does not show messages."""
    try:
        names = Context(settings_from()).inventory.names()
    except LdbError:
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
