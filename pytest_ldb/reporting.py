"""What a run tells about its servers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .session import Session


def printer(config: pytest.Config) -> Callable[[str], None]:
    """Return a function that shows a line at once, past pytest's capturing, from workers too."""

    def say(line: str) -> None:
        capture = config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            sys.stderr.write(f"\nldb: {line}\n")
            sys.stderr.flush()

    return say


def show_databases(item: pytest.Item, report: pytest.TestReport) -> None:
    """Name the databases of a failing test in its report."""
    from .core.database import Database

    values = getattr(item, "funcargs", {}).values()
    lines = [f"{value!r}" for value in values if isinstance(value, Database)]
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
        }
        for lease in session.leases.values()
    ]


def summary_lines(servers: Iterable[dict[str, Any]]) -> list[str]:
    """Return a line for each server; what its creator knows beats what others know."""
    by_name: dict[str, dict[str, Any]] = {}
    for server in servers:
        if server["origin"] == "created" or server["name"] not in by_name:
            by_name[server["name"]] = server
    return [_line(server) for _, server in sorted(by_name.items())]


def _line(server: dict[str, Any]) -> str:
    if server["origin"] == "external":
        return f"{server['type']}: existing server, {server['name']}"
    took = f"{server['start_s'] + server['ready_s']:.2f} s"
    text = f"{server['type']}: {server['image']} {server['origin']} in {took}"
    if server["kept"]:
        text += f"; kept as ldb-{server['name']}, `docker rm -fv ldb-{server['name']}` ends it"
    return text
