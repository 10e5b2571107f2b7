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


@dataclass
class DatabaseResetter:
    """Resets copies of one template.

    Args:
        commands: Runs what the type declares.
        template: The database that they are copies of.
    """

    commands: DatabaseCommands
    template: str
    _fresh: dict[str, str] = field(default_factory=dict)
    _surveyed: str | None = None

    def remember(self, database: Database) -> None:
        """Read the content of a new copy, to compare with it later; it may not be readable."""
        with suppress(CommandFailed):
            self._fresh[database.database] = self._inspect(database.database)

    def put_back(self, database: Database) -> bool:
        """Reset a used copy; return whether it equals what it was when it was new."""
        name = database.database
        if name not in self._fresh:
            return False
        try:
            self.commands.disconnect(name)
            changed = self._changes(name)
            for thing in changed:
                self.commands.repair(name, thing, self.template)
            return not (changed and self._changes(name))
        except CommandFailed:
            # A thing was dropped, or cannot be refilled by `repair`: a new copy is needed.
            return False

    def forget(self, database: Database) -> None:
        """Discard what was read of a database that is dropped."""
        self._fresh.pop(database.database, None)

    def _changes(self, name: str) -> list[str]:
        before, now = _by_thing(self._fresh[name]), _by_thing(self._inspect(name))
        return [thing for thing in {**before, **now} if before.get(thing) != now.get(thing)]

    def _inspect(self, name: str) -> str:
        if self._surveyed is None:
            self._surveyed = self.commands.survey(self.template)
        return self.commands.inspect(name, self._surveyed)


def _by_thing(text: str) -> dict[str, list[str]]:
    things = defaultdict(list)
    for line in text.split("\n"):
        things[line.partition("\t")[0]].append(line)
    return things
