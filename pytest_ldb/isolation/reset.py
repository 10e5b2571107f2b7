"""Used databases reset to their template, where that is faster than a new copy.

Every reset is verified: the content and the schema of a database are read before a test gets it,
and again after the reset. If the two readings differ, or one of them failed, the database is not
used again.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field

from ..model.database import Database
from ..model.errors import CommandFailed, hidden
from ..shell.client_commands import DatabaseCommands

__tracebackhide__ = hidden


@dataclass(frozen=True)
class Reading:
    """What was read of a copy while it was equal to the template.

    Args:
        content: What it is and holds, by thing.
        writes: What changes whenever a thing is written to; the content where nothing does.
    """

    content: str
    writes: str


@dataclass
class DatabaseResetter:
    """Resets copies of one template.

    Args:
        commands: Runs what the type declares.
        template: The database that they are copies of.
    """

    commands: DatabaseCommands
    template: str
    _fresh: dict[str, Reading] = field(default_factory=dict)
    _surveyed: str | None = None

    def remember(self, database: Database) -> None:
        """Read the content of a new copy, to compare with it later; it may not be readable."""
        with suppress(CommandFailed):
            content = self._inspect(database.database)
            self._fresh[database.database] = self._reading(database.database, content)

    def put_back(self, database: Database) -> bool:
        """Reset a used copy; return whether it equals what it was when it was new."""
        name = database.database
        if name not in self._fresh:
            return False
        try:
            self.commands.disconnect(name)
            return self._reset(name, self._fresh[name])
        except CommandFailed:
            # A thing was dropped, or cannot be refilled by `repair`: a new copy is needed.
            return False

    def forget(self, database: Database) -> None:
        """Discard what was read of a database that is dropped."""
        self._fresh.pop(database.database, None)

    def _reset(self, name: str, fresh: Reading) -> bool:
        writes = self.commands.writes(name) if self._counts_writes else self._inspect(name)
        changed = _differences(fresh.writes, writes)
        if not changed:
            return True
        for thing in changed:
            self.commands.repair(name, thing, self.template)
        content = self._inspect(name)
        self._fresh[name] = self._reading(name, content)
        return not _differences(fresh.content, content)

    def _reading(self, name: str, content: str) -> Reading:
        return Reading(content, self.commands.writes(name) if self._counts_writes else content)

    @property
    def _counts_writes(self) -> bool:
        return bool(self.commands.database_type.reset.writes)

    def _inspect(self, name: str) -> str:
        if self._surveyed is None:
            self._surveyed = self.commands.survey(self.template)
        return self.commands.inspect(name, self._surveyed)


def _differences(before: str, now: str) -> list[str]:
    """Return the names of the things that are not the same in two readings."""
    then, later = _by_thing(before), _by_thing(now)
    return [thing for thing in {**then, **later} if then.get(thing) != later.get(thing)]


def _by_thing(text: str) -> dict[str, list[str]]:
    things = defaultdict(list)
    for line in text.split("\n"):
        things[line.partition("\t")[0]].append(line)
    return things
