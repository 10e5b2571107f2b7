"""Add server logs to the report of a failing test."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import pytest

from ..engines.protocol import Watch
from ..lifecycle.commands import Server
from ..model.database_type import DatabaseType
from ..model.errors import EngineUnavailable, LdbError
from ..model.instance import Instance
from ..model.request import container_name
from .fixtures import BEGAN, databases_of

if TYPE_CHECKING:
    from .session import Session

LINES_READ = 2000
"""The limit keeps engines from reading a long log from its beginning, which is slow."""

MOST_LINES = 50
SETTLES_S = 0.05
"""How long to wait for the engine to receive the lines that a server has written."""

PATIENCE_S = 2.0
"""Maximum total time for these waits in one process."""

READING_S = 10.0

NOTICED_S = 0.5
"""How long the end of a server may be noticed after that of its engine."""

_SILENT: WeakKeyDictionary[Session, EngineUnavailable] = WeakKeyDictionary()
"""The sessions whose engine has stopped responding."""

_WAITED_S = pytest.StashKey[float]()


@dataclass(frozen=True)
class _Server:
    """A server whose log is added to the report.

    Args:
        title: Title of the report section.
        database_type: The type of the server; None if it is unknown.
        container: Name or id of the container.
        since: Time of the earliest entry to show, in seconds since 1970.
        databases: Names of the databases whose entries to show; None for all.
        watch: Source of the last lines if the container has been removed with its log.
    """

    title: str
    database_type: DatabaseType | None
    container: str
    since: float
    databases: Collection[str] | None = None
    watch: Watch | None = None


def show_logs(item: pytest.Item, report: pytest.TestReport, session: Session) -> None:
    """Add the log lines that servers wrote since the setup of a failing test to its report.

    The start time is measured by this machine's clock. If the engine runs on another machine whose
    clock is ahead, earlier lines are included; if it is behind, some lines are missing.
    """
    servers = _servers_of(item, session)
    if servers:
        _let_settle(item.config)
    for server in servers:
        text = _text(server, session)
        if text:
            report.sections.append((f"{server.title} log", text))


def relevant(
    lines: Sequence[str],
    database_type: DatabaseType | None,
    databases: Collection[str] | None = None,
    since: float = 0.0,
) -> list[str]:
    """Return the lines of log entries that concern these databases, or no particular database.

    Args:
        lines: Lines of a log.
        database_type: Defines how an entry begins; None to return all lines.
        databases: Names of the databases; None for all.
        since: Time of the earliest entry to return, in seconds since 1970.
    """
    if database_type is None:
        return list(lines)
    begins, noise = (
        re.compile(database_type.log.entry),
        re.compile(database_type.log.noise or "(?!)"),
    )
    # If some line begins an entry, the lines before it are the rest of an earlier entry.
    keep = not any(map(begins.match, lines))
    kept = []
    for line in lines:
        entry = begins.match(line)
        if entry:
            said = entry.groupdict()
            keep = _is_about(said.get("database"), databases) and not noise.match(line)
            keep = keep and _is_later(said.get("time"), since)
        if keep:
            kept.append(line)
    return kept


def _is_about(database: str | None, databases: Collection[str] | None) -> bool:
    return databases is None or database is None or database in databases


def _is_later(time: str | None, since: float) -> bool:
    """Whether a log time is not before ``since``; servers log milliseconds, so round down."""
    try:
        moment = datetime.fromisoformat(time or "").replace(tzinfo=timezone.utc)
    except ValueError:  # Another program of the image wrote to the same line.
        return True
    return moment >= datetime.fromtimestamp(int(since * 1000) / 1000, timezone.utc)


def shortened(lines: Sequence[str]) -> list[str]:
    """Return the last lines, preceded by the number of lines left out."""
    left_out = len(lines) - MOST_LINES
    return [f"({left_out} lines before)", *lines[left_out:]] if left_out > 0 else list(lines)


def _servers_of(item: pytest.Item, session: Session) -> list[_Server]:
    began = item.stash.get(BEGAN, 0.0)
    names: dict[str, set[str]] = {}
    for database in databases_of(item, session.early):
        names.setdefault(database.instance.name, set()).add(database.database)
        if database in session.early:
            beside = session.servers[database.database_type.name].beside
            names[database.instance.name].update(beside)
    leases = [server.lease for server in session.servers.values()]
    shared = [
        _Server(
            lease.database_type.name,
            lease.database_type,
            lease.container,
            max(began, lease.since),
            names[lease.instance.name],
            lease.watch,
        )
        for lease in leases
        if lease.container and lease.instance.name in names
    ]
    return shared + _private_servers(item, session, began, names)


def _private_servers(
    item: pytest.Item, session: Session, began: float, used: Collection[str]
) -> list[_Server]:
    """Return the servers of the fixture `ldb` that the test uses or has created."""
    given = getattr(item, "funcargs", {}).values()
    instances = [value.instance if isinstance(value, Server) else value for value in given]
    names = {*used, *(one.name for one in instances if isinstance(one, Instance))}
    database_types = {database_type.name: database_type for database_type in session.run.types}
    return [
        _Server(
            instance.name,
            database_types.get(instance.database_type),
            container_name(instance.name),
            began,
        )
        for instance in session.made
        if instance.name in names or instance.created_at.timestamp() >= began
    ]


def _let_settle(config: pytest.Config) -> None:
    waited_s = config.stash.get(_WAITED_S, 0.0)
    if waited_s < PATIENCE_S:
        time.sleep(SETTLES_S)
        config.stash[_WAITED_S] = waited_s + SETTLES_S


def _text(server: _Server, session: Session) -> str:
    try:
        lines, end = _lines(server, session)
        shown = shortened(relevant(lines, server.database_type, server.databases, server.since))
    except Exception as error:  # noqa: BLE001 - the report of the test must not be lost
        return f"The log could not be read: {error!r}"
    return "\n".join([*shown, *end])


def _lines(server: _Server, session: Session) -> tuple[list[str], list[str]]:
    """Return the lines of the log, and a note on why it is incomplete."""
    try:
        return _read(session, server), []
    except LdbError as error:
        # The log of a container with auto-remove is deleted with it; the watch has the last lines.
        watch = server.watch
        silent = isinstance(error, EngineUnavailable)
        ended = watch.ended(NOTICED_S if silent else READING_S) if watch else None
        if watch is None or ended is None:
            return [], [f"The log is not available. {error}"]
        end = f"The server ended with exit code {ended.code}."
        return watch.log(LINES_READ).splitlines(), [end]


def _read(session: Session, server: _Server) -> list[str]:
    """Read the log; an engine that stops responding must delay one report, not each."""
    if session in _SILENT:
        raise _SILENT[session]
    try:
        log = session.log(server.container, tail=LINES_READ, since=server.since)
    except EngineUnavailable as error:
        _SILENT[session] = error
        raise
    end = threading.Timer(READING_S, log.close)
    end.start()
    try:
        return list(log)
    finally:
        if end.finished.is_set():
            _SILENT[session] = EngineUnavailable("the container engine", "it sent half a log")
        end.cancel()
