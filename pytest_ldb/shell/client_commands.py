"""What a type of database declares to be done, done through a shell."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from ..model.database_type import Command, DatabaseType, render
from ..model.errors import CommandFailed, hidden
from .shell import CLIENT_ENDED, Client, Shell

__tracebackhide__ = hidden

TIMEOUT_S = 600.0
TURNS = 500
AGAIN_S = 0.01


@dataclass(frozen=True)
class DatabaseCommands:
    """Runs the commands of a type of database beside one server.

    Args:
        database_type: The type.
        shell: Runs commands, and keeps a client open for statements.
        values: What the placeholders mean to that shell.
    """

    database_type: DatabaseType
    shell: Shell
    values: Mapping[str, str] = field(repr=False)

    def do(self, command: Command, database: str, **more: str) -> None:
        """Run a command, or give statements to the client, which says nothing if all is well.

        Raises:
            CommandFailed: It did not succeed; the evidence is what it wrote.
        """
        if isinstance(command, tuple):
            if command:
                self.shell.run(self._argv(command, database, **more), timeout_s=TIMEOUT_S)
            return
        try:
            self._tell(command, database, **more)
        except CommandFailed as error:
            if error.status != CLIENT_ENDED:
                raise
            # Somebody may have ended its connection. Whatever it had done by then is done anew.
            operations = self.database_type.operations
            if command in (operations.create, operations.clone):
                self.do(operations.drop, database)
            self._tell(command, database, **more)

    def disconnect(self, database: str) -> None:
        """End all connections; that some end by themselves meanwhile is no failure."""
        command = self.database_type.operations.disconnect
        if not isinstance(command, str):
            self.do(command, database)
            return
        for _ in range(TURNS):
            statements = self._feed(self._statements(command, database))
            if not statements.strip():
                return
            with suppress(CommandFailed):
                self._feed(statements)
            time.sleep(AGAIN_S)

    def inspection(self, template: str) -> str:
        """Return the statements that inspect copies of a template."""
        reset = self.database_type.reset
        if not reset.survey:
            return reset.inspect
        # What it writes is a template of its own: there the database is the one to inspect.
        return self._feed(self._statements(reset.survey, "{database}", template=template))

    def inspect(self, database: str, inspection: str) -> str:
        """Return a line for each thing in a database: a name, a tab, what it is and holds."""
        return self._feed(self._statements(inspection, database))

    def repair(self, database: str, thing: str, template: str) -> None:
        """Make a thing what it is in the template, or fail."""
        self.do(self.database_type.reset.repair, database, thing=thing, template=template)

    def later(self, command: Command, database: str) -> None:
        """Do something when this process ends, in whatever way."""
        if isinstance(command, str):
            self.shell.feed_later(self._client, self._statements(command, database))
        elif command:
            self.shell.later(self._argv(command, database))

    def renewal(self, database: str) -> tuple[str, ...]:
        """Return a command for `Shell.take_initial`; empty if the type has none."""
        operations = self.database_type.operations
        drop, create = operations.drop, operations.create
        if not (isinstance(drop, str) and isinstance(create, str)):
            return ()
        statements = "\n".join(self._statements(text, database) for text in (drop, create))
        return ("renew_initial", statements, *self._client.argv)

    def not_later(self, command: Command, database: str) -> None:
        """Take `later` back."""
        if isinstance(command, str):
            self.shell.forget_to_feed(self._statements(command, database))
        elif command:
            self.shell.forget(self._argv(command, database))

    def _tell(self, statements: str, database: str, **more: str) -> None:
        trouble = self._feed(self._statements(statements, database, **more))
        if trouble.strip():
            fact = f"`{self.database_type.client.argv[0]}` reports an error"
            raise CommandFailed(self.shell.subject, fact, evidence=trouble, status=1)

    def _feed(self, statements: str) -> str:
        return self.shell.feed(self._client, statements, timeout_s=TIMEOUT_S)

    @property
    def _client(self) -> Client:
        declared = self.database_type.client
        return Client(self._argv(declared.argv, ""), declared.mark)

    def _statements(self, text: str, database: str, **more: str) -> str:
        return render(text, self._values(database, more))

    def _argv(self, command: tuple[str, ...], database: str, **more: str) -> tuple[str, ...]:
        values = self._values(database, more)
        return tuple(render(argument, values) for argument in command)

    def _values(self, database: str, more: Mapping[str, str]) -> Mapping[str, str]:
        return {**self.values, "database": database, **more}
