"""The lines that a run prints about its servers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..model.database import Database
    from .usage import Use

SHORTEST_SHOWN_S = 0.001


def header(
    given: Mapping[str, Any],
    *,
    chosen_engine: bool,
    surroundings: Mapping[str, str] = os.environ,
) -> str:
    """Return the line in pytest's header: the non-default options and the engine.

    Args:
        given: The arguments of ``Settings`` that the user set.
        chosen_engine: Whether `pytest_ldb_engine` chooses the engine.
        surroundings: The variables that say where the user's directories are.
    """
    from ..engines.docker.transport.contexts import engine_address

    engine = (
        "chosen by pytest_ldb_engine"
        if chosen_engine
        else engine_address(surroundings) or "unknown"
    )
    decided = [_decision(name, value) for name, value in given.items()]
    return f"ldb: {', '.join([*decided, f'engine {engine}'])}"


def _decision(name: str, value: Any) -> str:
    words = name.replace("_", "-")
    if isinstance(value, bool):
        return words if value else f"no {words}"
    if name == "urls":  # URLs contain passwords.
        return f"existing servers for {' '.join(value)}"
    if name == "images":
        return f"images {' '.join(f'{type_name}={image}' for type_name, image in value.items())}"
    return f"timeout {value:g} s" if name == "timeout_s" else f"{words} {value}"


def show_databases(databases: Iterable[Database], report: pytest.TestReport) -> None:
    """Add the databases of a failing test to its report."""
    if lines := [repr(database) for database in databases]:
        report.sections.append(("databases", "\n".join(lines)))


def show_summary(reporter: pytest.TerminalReporter, used: Iterable[dict[str, Any]]) -> None:
    """Write the summary of the servers of the whole run."""
    from .usage import added_up

    reporter.write_sep("=", "ldb")
    for line in (line for use in added_up(used) for line in summary_lines(use)):
        reporter.write_line(line)


def summary_lines(use: Use) -> Iterator[str]:
    """Yield one line about a server, and more lines only if they have content."""
    if use.origin == "existing":
        yield f"{use.type}: existing server, {use.name}"
    else:
        took = f"{use.start_s + (use.ready_s or 0.0):.2f} s"
        yield f"{use.type}: {use.image} {use.origin} in {took}{_parts(use)}{_sharers(use)}"
    if use.not_cached:
        yield f"  initialised: {use.not_cached}"
    if work := ", ".join(_work(use)):
        yield f"  {work}"
    if use.ended_by:
        reason = "" if use.kept else " for the tests that failed"
        yield f"  kept{reason} as {use.container}, `{use.ended_by}` ends it"


def _parts(use: Use) -> str:
    if use.origin == "attached":
        return ""
    if use.ready_s is None:
        return ", not ready by the end of the run"
    return f" (start {use.start_s:.2f} s, ready {use.ready_s:.2f} s)"


def _sharers(use: Use) -> str:
    return f" for {use.processes} workers" if use.processes > 1 else ""


def _work(use: Use) -> Iterator[str]:
    if use.pull_s is not None:
        yield f"image pulled in {use.pull_s:.2f} s"
    if use.templates_s:
        yield f"{_counted(len(use.templates_s), 'template')} in {sum(use.templates_s):.2f} s"
    if use.median_wait_s is not None:
        databases = _counted(use.fresh_databases, "fresh database")
        yield f"{databases}, median wait {_wait(use.median_wait_s)}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _wait(seconds: float) -> str:
    if seconds < SHORTEST_SHOWN_S:
        return "under 1 ms"
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
