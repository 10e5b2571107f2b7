"""Runs what a database type declares, through a shell: programs, and statements for its client."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from ..model.database_type import Command, DatabaseType, render_all
from ..model.errors import CommandFailed, hidden
from .shell import CLIENT_ENDED, Client, Shell

__tracebackhide__ = hidden

TIMEOUT_S = 600.0
TURNS = 500
"""How often ``disconnect`` looks for connections; a client that connects again must not win."""

AGAIN_S = 0.01


@dataclass(frozen=True)
class ExecCommand:
    """A program to run.

    Args:
        shell: Runs it.
        argv: The program and its arguments; empty if there is nothing to do.
    """

    shell: Shell
    argv: tuple[str, ...]

    def run(self) -> None:
        """Run it now; raises CommandFailed with its output."""
        if self.argv:
            self.shell.run(self.argv, timeout_s=TIMEOUT_S)

    def defer(self) -> None:
        """Run it when this process ends, however it ends."""
        if self.argv:
            self.shell.later(self.argv)

    def cancel(self) -> None:
        """Undo :meth:`defer`."""
        if self.argv:
            self.shell.forget(self.argv)


@dataclass(frozen=True)
class ClientStatement:
    """Statements for the client that the shell keeps open.

    Args:
        shell: Keeps it open.
        client: How it is started.
        statements: Its input.
        undo: Removes what the statements have done in part, before they are run again.
    """

    shell: Shell
    client: Client
    statements: str
    undo: ExecCommand | ClientStatement | None = None

    def run(self) -> None:
        """Run them now; raises CommandFailed with the client's output."""
        trouble = self.ask()
        if trouble.strip():
            fact = f"`{self.client.argv[0]}` reports an error"
            raise CommandFailed(self.shell.subject, fact, evidence=trouble, status=1)

    def ask(self) -> str:
        """Run them now and return what the client wrote.

        They are run again if the client has lost its connection: a test may end all connections
        to the server.
        """
        try:
            return self._feed()
        except CommandFailed as error:
            if error.status != CLIENT_ENDED:
                raise
        if self.undo:
            self.undo.run()
        return self._feed()

    def defer(self) -> None:
        """Run them when this process ends, however it ends."""
        self.shell.feed_later(self.client, self.statements)

    def cancel(self) -> None:
        """Undo :meth:`defer`."""
        self.shell.forget_to_feed(self.statements)

    def _feed(self) -> str:
        return self.shell.feed(self.client, self.statements, timeout_s=TIMEOUT_S)


@dataclass(frozen=True)
class DatabaseCommands:
    """Runs the commands of a database type beside one server.

    Args:
        database_type: The type.
        shell: Runs programs, and keeps a client open for statements.
        values: What the placeholders mean to that shell.
    """

    database_type: DatabaseType
    shell: Shell
    values: Mapping[str, str] = field(repr=False)

    def run(self, command: Command, database: str, **more: str) -> None:
        """Run a command of the type on a database.

        Args:
            command: The command; nothing is done if it is empty.
            database: The value of ``{database}``.
            more: The values of further placeholders.

        Raises:
            CommandFailed: It failed; the evidence is its output.
        """
        self._operation(command, database, **more).run()

    def defer(self, command: Command, database: str) -> None:
        """Run a command when this process ends, however it ends."""
        self._operation(command, database).defer()

    def cancel(self, command: Command, database: str) -> None:
        """Undo :meth:`defer`."""
        self._operation(command, database).cancel()

    def disconnect(self, database: str) -> None:
        """End all connections to a database."""
        operation = self._operation(self.database_type.operations.disconnect, database)
        if isinstance(operation, ExecCommand):
            operation.run()
            return
        for _ in range(TURNS):
            statements = operation.ask()
            if not statements.strip():
                return
            # Ending a connection fails if it has ended by itself since.
            with suppress(CommandFailed):
                self._statement(statements).ask()
            time.sleep(AGAIN_S)

    def survey(self, template: str) -> str:
        """Return the statements of the inspection that depend on what is in the template."""
        survey = self.database_type.reset.survey
        return self._statement(self._text(survey, "", template=template)).ask() if survey else ""

    def inspect(self, database: str, surveyed: str) -> str:
        """Return a line for each thing in a database: a name, a tab, what it is and holds.

        Args:
            database: Its name.
            surveyed: What :meth:`survey` has returned.

        Raises:
            CommandFailed: A part of it could not be read.
        """
        inspect = self._text(self.database_type.reset.inspect, database)
        return self._reading("\n".join(filter(None, (inspect, surveyed))), database)

    def writes(self, database: str) -> str:
        """Return a line for each thing in a database: a name, a tab, what counts its writes.

        Raises:
            CommandFailed: A part of it could not be read.
        """
        return self._reading(self._text(self.database_type.reset.writes, database), database)

    def _reading(self, statements: str, database: str) -> str:
        reading = self._statement(statements).ask()
        # Clients write errors where they write results.
        trouble = [line for line in reading.split("\n") if line and "\t" not in line]
        if trouble or not reading:
            evidence = "\n".join(trouble) or "it wrote nothing"
            fact = f"{database} was not inspected"
            raise CommandFailed(self.shell.subject, fact, evidence=evidence)
        return reading

    def repair(self, database: str, thing: str, template: str) -> None:
        """Make a thing equal to that in the template; raises CommandFailed."""
        names = {"thing": thing, "thing_hex": thing.encode().hex(), "template": template}
        self.run(self.database_type.reset.repair, database, **names)

    def renewal(self, database: str) -> tuple[str, ...]:
        """Return a command for `Shell.take_initial`; empty if the type has none."""
        operations = self.database_type.operations
        drop, create = operations.drop, operations.create
        if not (isinstance(drop, str) and isinstance(create, str)):
            return ()
        statements = "\n".join(self._text(text, database) for text in (drop, create))
        return ("renew_initial", statements, *self._client.argv)

    def _operation(
        self, command: Command, database: str, **more: str
    ) -> ExecCommand | ClientStatement:
        if not isinstance(command, str):
            return ExecCommand(self.shell, self._argv(command, database, **more))
        operations = self.database_type.operations
        # These fail if the database exists already, as it may after a first try.
        makes = command in (operations.create, operations.clone)
        undo = self._operation(operations.drop, database) if makes else None
        return self._statement(self._text(command, database, **more), undo)

    def _statement(
        self, statements: str, undo: ExecCommand | ClientStatement | None = None
    ) -> ClientStatement:
        return ClientStatement(self.shell, self._client, statements, undo)

    @property
    def _client(self) -> Client:
        declared = self.database_type.client
        return Client(self._argv(declared.argv, ""), declared.mark)

    def _text(self, text: str, database: str, **more: str) -> str:
        return self._argv((text,), database, **more)[0]

    def _argv(self, command: tuple[str, ...], database: str, **more: str) -> tuple[str, ...]:
        return render_all(command, {**self.values, "database": database, **more})
