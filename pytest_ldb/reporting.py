"""What a run tells about its servers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .session import Session

LAST_MOMENT_S = 0.3
"""Another worker may find a server ready, and be done, just before the one that began it."""


def header(given: Mapping[str, Any], *, chosen_engine: bool) -> str:
    """Return a line about what the user decided, and which engine that concerns.

    Args:
        given: The arguments of ``Settings`` that were given.
        chosen_engine: Whether a hook of the project chooses the engine.
    """
    from .runtimes.contexts import engine_address

    engine = "chosen by pytest_ldb_runtime" if chosen_engine else engine_address() or "unknown"
    decided = [_decision(name, value) for name, value in given.items()]
    return f"ldb: {', '.join([*decided, f'engine {engine}'])}"


def _decision(name: str, value: Any) -> str:
    words = name.replace("_", "-")
    if isinstance(value, bool):
        return words if value else f"no {words}"
    if name == "urls":  # They hold passwords.
        return f"existing servers for {' '.join(value)}"
    if name == "images":
        return f"images {' '.join(f'{kind}={image}' for kind, image in value.items())}"
    return f"timeout {value:g} s" if name == "timeout_s" else f"{words} {value}"


def printer(config: pytest.Config) -> Callable[[str], None]:
    """Return a function that shows a line at once, past pytest's capturing, from workers too."""

    def say(line: str) -> None:
        capture = config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            sys.stderr.write(f"\nldb: {line}\n")
            sys.stderr.flush()

    return say


def show_databases(item: pytest.Item, report: pytest.TestReport, session: Session) -> None:
    """Name the databases of a failing test in its report, and keep them if that was asked for."""
    from .core.database import Database
    from .core.errors import LdbError

    values = getattr(item, "funcargs", {}).values()
    databases = [value for value in values if isinstance(value, Database)]
    lines = [repr(database) for database in databases]
    try:
        for database in databases:
            session.keep_failed(database)
    except LdbError as error:
        lines.append(f"They could not be kept. {error}")
    if lines:
        report.sections.append(("databases", "\n".join(lines)))


def show_summary(reporter: pytest.TerminalReporter, session: Session | None) -> None:
    """Write a section about the servers of the whole run, if there were any."""
    from .workers import told_by_workers

    own = used_servers(session) if session else []
    lines = summary_lines([*own, *told_by_workers(reporter.config)])
    if lines:
        reporter.section("ldb")
    for line in lines:
        reporter.write_line(line)


def used_servers(session: Session) -> list[dict[str, Any]]:
    """Return what is worth telling about the servers that this process used, as plain values."""
    return [
        {
            "type": lease.database_type.name,
            "name": lease.instance.name,
            "image": lease.instance.image,
            "origin": lease.origin,
            "start_s": lease.start_s,
            "ready_s": lease.ready_s,
            "kept": session.settings.keep and lease.origin != "external",
            "kept_failed": lease.instance.name in session.kept_failed,
        }
        for lease in session.held(LAST_MOMENT_S)
    ]


def summary_lines(servers: Iterable[dict[str, Any]]) -> list[str]:
    """Return a line for each server; what its creator knows beats what others know."""
    by_name: dict[str, dict[str, Any]] = {}
    kept_failed = set()
    for server in servers:
        if server["origin"] in ("created", "restored") or server["name"] not in by_name:
            by_name[server["name"]] = server
        if server["kept_failed"]:
            kept_failed.add(server["name"])
    return [_line(server, name in kept_failed) for name, server in sorted(by_name.items())]


def _line(server: dict[str, Any], kept_failed: bool) -> str:  # noqa: FBT001
    if server["origin"] == "external":
        return f"{server['type']}: existing server, {server['name']}"
    took = f"{server['start_s'] + server['ready_s']:.2f} s"
    text = f"{server['type']}: {server['image']} {server['origin']} in {took}"
    if server["kept"] or kept_failed:
        reason = "" if server["kept"] else " for the tests that failed"
        container = f"ldb-{server['name']}"
        text += f"; kept{reason} as {container}, `docker rm -fv {container}` ends it"
    return text
