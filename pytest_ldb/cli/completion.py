"""What shells offer while a command line is typed."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from ..databases import BUILTIN
from ..model.errors import LdbError
from .context import Context, settings_from


def complete_type(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the types of databases."""
    return [
        CompletionItem(database_type.name)
        for database_type in BUILTIN
        if database_type.name.startswith(incomplete)
    ]


def complete_server(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the servers; nothing if no engine answers, as nobody could read why."""
    try:
        names = Context(settings_from()).inventory.names()
    except LdbError:
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
