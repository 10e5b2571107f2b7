"""Used databases put back into the state of their template, where that is faster than a copy.

Nothing is taken on trust. What a database is and holds is read before a test gets it, and read
again after it was put back. If both readings are not the same, the database is not used again.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from ..model.database import Database
from ..model.errors import CommandFailed, hidden
from ..shell.client_commands import DatabaseCommands

__tracebackhide__ = hidden


@dataclass
class DatabaseResetter:
    """Puts copies of one template back.

    Args:
        commands: Runs what the type declares.
        template: What they are copies of.
    """

    commands: DatabaseCommands
    template: str
    _fresh: dict[str, str] = field(default_factory=dict)
    _inspection: str = ""

    def remember(self, database: Database) -> None:
        """Read what a new copy holds."""
        self._fresh[database.database] = self._inspect(database.database)

    def put_back(self, database: Database) -> bool:
        """Make a used copy what it was when it was new; return whether that is so."""
        name = database.database
        try:
            self.commands.disconnect(name)
            changed = self._changes(name)
            for thing in changed:
                self.commands.repair(name, thing, self.template)
            return not (changed and self._changes(name))
        except CommandFailed:
            # Something is missing, or does not let itself be filled like this.
            return False

    def forget(self, database: Database) -> None:
        """Remember nothing of a database that is dropped."""
        self._fresh.pop(database.database, None)

    def _changes(self, name: str) -> list[str]:
        before, now = _by_thing(self._fresh[name]), _by_thing(self._inspect(name))
        return [thing for thing in {**before, **now} if before.get(thing) != now.get(thing)]

    def _inspect(self, name: str) -> str:
        if not self._inspection:
            self._inspection = self.commands.inspection(self.template)
        return self.commands.inspect(name, self._inspection)


def _by_thing(text: str) -> dict[str, list[str]]:
    things = defaultdict(list)
    for line in text.splitlines():
        things[line.partition("\t")[0]].append(line)
    return things
