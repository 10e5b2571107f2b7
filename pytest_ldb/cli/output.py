"""Output of the commands: tables and colours on a terminal, lines and JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click
from rich.console import Console, OverflowMethod
from rich.filesize import decimal
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ..model.errors import LdbError
from ..util import clock

COLOURS = {"running": "green", "stopped": "yellow", "creating": "cyan", "error": "red"}
COLOURS |= {"ok": "green", "note": "yellow", "problem": "red"}

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


CUT = {"IMAGE", "PROJECT"}
"""The columns that are truncated on a narrow terminal."""

BROKEN = {"WHY", "STATE", "FINDING"}
"""The columns that are wrapped on a narrow terminal."""


ASIDE = Console(stderr=True, highlight=False, soft_wrap=True)
"""Standard error, for all output but the result; shared, so that lines do not break spinners."""


def say(line: str) -> None:
    """Print a line to standard error."""
    ASIDE.print(line, markup=False)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show a spinner with the elapsed time on a terminal."""
    with Progress(
        SpinnerColumn(),
        TextColumn(what),
        TimeElapsedColumn(),
        console=ASIDE,
        transient=True,
        disable=not ASIDE.is_terminal,
    ) as progress:
        progress.add_task(what)
        yield


def show_error(error: LdbError) -> None:
    """Print an error with its evidence and remedy to standard error."""
    ASIDE.print(Text(f"{error.subject}: {error.fact}.", style="red"))
    for line in error.evidence.splitlines():
        ASIDE.print(Text(f"    {line}", style="dim"))
    if error.remedy:
        ASIDE.print(_for_this_command(error.remedy), markup=False)


def write_json(value: Any) -> None:
    """Print a value as JSON."""
    click.echo(json.dumps(value, indent=2))


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()


def write_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows: as a table on a terminal, otherwise separated by tabs and without a header."""
    rows = list(rows)
    if not is_terminal():
        for row in rows:
            click.echo("\t".join(row))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        overflow: OverflowMethod = "ellipsis" if head in CUT else "fold"
        table.add_column(head, no_wrap=head not in CUT | BROKEN, overflow=overflow)
    for row in rows:
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in row))
    Console(highlight=False).print(table)


def write_facts(facts: Mapping[str, str]) -> None:
    """Print names and values, one pair per line."""
    width = max(map(len, facts)) + 2
    console = Console(highlight=False, soft_wrap=True)
    for name, value in facts.items():
        if is_terminal():
            style = COLOURS.get(value, "")
            console.print(Text(name.ljust(width), style="bold"), Text(value, style=style), sep="")
        else:
            click.echo(f"{name}\t{value}")


def age(since: datetime) -> str:
    """Return the time since a moment, in the largest unit that fits."""
    seconds = max(0, int((clock.now() - since).total_seconds()))
    for unit, size in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return "0 s"


def size(count: int | None) -> str:
    """Return a number of bytes in a readable unit."""
    return "-" if count is None else decimal(count, precision=0)


def _for_this_command(remedy: str) -> str:
    """Adapt a remedy that was written for the plugin: its options have other names here."""
    remedy = remedy.partition(" --ldb-no-engine=skip")[0]
    if remedy.startswith("Use .url."):
        return "Use --format url, or json."
    return remedy.replace("allow it with --ldb-pull=missing, ", "").replace("--ldb-", "--")
