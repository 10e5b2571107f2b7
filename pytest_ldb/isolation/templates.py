"""A database filled once, for all processes that use a server, to be copied from then on.

Processes agree on who fills it by a lock beside the server, so they may run on different hosts. The
process that fills it holds the lock through its shell: if it dies, the next one that asks starts
again. Other processes see a template only when it is complete.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..model.database import Database
from ..model.database_type import DatabaseType
from ..model.errors import LdbError, SetupFailed, hidden
from ..model.setup import Setup
from ..shell.shell import Shell
from ..util import clock
from ..util.progress import telling
from .databases import Databases
from .setup_call import SetupSkipped, call_setup, text_of

__tracebackhide__ = hidden

VERSION = "1"
"""Raised whenever a template made by an older version must not be used by this one."""

AGAIN_S = 0.05

PATIENCE_S = 10.0
"""After waiting this long for another process's setup, the user gets a line."""

SKIPPED = "skipped"
"""First line of the reason, if the setup skips the tests."""


@dataclass
class Templates:
    """Makes and finds the templates on a server, each once in this process.

    Args:
        databases: Those on the server.
        run: The id of the run; a setup that failed is not tried again in the same run.
        say: Takes a line for the user.
        skips: The exceptions with which a setup skips the tests.
        took_s: How long each took that this process made, in seconds.
    """

    databases: Databases
    run: str
    say: Callable[[str], None]
    skips: tuple[type[BaseException], ...] = ()
    took_s: list[float] = field(default_factory=list)
    _names: dict[int, tuple[object, str | None]] = field(default_factory=dict)
    _failed: dict[int, tuple[object, LdbError]] = field(default_factory=dict)

    def of(self, given: object) -> str | None:
        """Return the name of the template for a setup, see :meth:`Setup.of`; None if there is none.

        Raises:
            SetupFailed: The setup failed before, in this process or in another one of this run.
            SetupSkipped: The setup skips the tests.
            Exception: The setup failed now, with this exception.
        """
        # The object is kept, so that no other one gets its id.
        if id(given) in self._failed:
            raise self._failed[id(given)][1]
        if id(given) not in self._names:
            try:
                setup = Setup.of(given)
                self._names[id(given)] = given, self.obtain(setup) if setup else None
            except Exception as error:
                self._failed[id(given)] = given, self._later(error)
                raise
        return self._names[id(given)][1]

    def forget(self) -> None:
        """Identify setups again when they are asked for."""
        self._names.clear()
        self._failed.clear()

    def obtain(self, setup: Setup) -> str:
        """Return the name of the database that ``setup`` has filled, here or elsewhere.

        Raises:
            SetupFailed: The setup failed in another process of this run.
            SetupSkipped: The setup skips the tests.
            Exception: The setup failed here, with this exception.
        """
        key = self._key(setup)
        patience = clock.monotonic() + PATIENCE_S
        while True:
            word, _, rest = self._shell.run(["template_claim", key, self.run]).partition("\n")
            if word == "ready":
                return rest
            if word == "failed":
                raise self._failed_elsewhere(rest)
            if word == "mine":
                return self._fill(key, setup)
            if clock.monotonic() > patience:
                if self._shell.is_first(f"{self.run}-{key}"):
                    self.say(f"{self._type_name}: waiting for the setup in another worker")
                patience = float("inf")
            time.sleep(AGAIN_S)

    @property
    def database_type(self) -> DatabaseType:
        """What runs on the server."""
        return self.databases.lease.database_type

    @property
    def _shell(self) -> Shell:
        return self.databases.lease.shell

    @property
    def _type_name(self) -> str:
        return self.database_type.name

    def _key(self, setup: Setup) -> str:
        """The key contains the server: another version may run the same setup differently."""
        parts = (VERSION, self.databases.lease.fingerprint, setup.digest())
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]

    def _fill(self, key: str, setup: Setup) -> str:
        began = clock.monotonic()
        try:
            # The line shows the user what hangs, if a migration waits for a lock.
            with telling(f"{self._type_name}: ldb_{self._type_name}_setup runs", self.say):
                database = self._filled(key, setup)
        except BaseException as error:
            is_skip = isinstance(error, self.skips)
            cause = str(error) if is_skip else text_of(error)
            with suppress(LdbError):  # The setup's own error is the one to raise.
                reason = f"{SKIPPED if is_skip else ''}\n{cause}"
                self._shell.run(["template_failed", key, self.run, reason])
            if is_skip:
                raise SetupSkipped(self._type_name, cause) from None
            raise
        if self.databases.lease.origin == "external":
            self._shell.run(["later", f'rm -f "$home/templates/{key}.ready"'])
        self._shell.run(["template_ready", key, database.database])
        self.took_s.append(clock.monotonic() - began)
        self._retire_others(key)
        return database.database

    def _filled(self, key: str, setup: Setup) -> Database:
        database = self.databases.create_template(f"ldb_t_{key}")
        if setup.files:
            from .loading import files_in, load

            for file in files_in(map(Path, setup.files)):
                load(self.databases.lease, database, file)
        if setup.run is not None:
            call_setup(setup.run, database)
        self.databases.seal(database)
        return database

    def _retire_others(self, key: str) -> None:
        """Drop templates that no process uses: those of earlier setups on a kept server."""
        with suppress(LdbError):
            for line in self._shell.run(["template_retire", key]).splitlines():
                retired, _, name = line.partition(" ")
                self.databases.drop_template(name)
                self._shell.run(["template_gone", retired])

    def _failed_elsewhere(self, reason: str) -> LdbError:
        word, _, cause = reason.partition("\n")
        if word == SKIPPED:
            return SetupSkipped(self._type_name, cause)
        fact = f"its setup, ldb_{self._type_name}_setup, has failed before in this run"
        return SetupFailed(self._type_name, fact, evidence=cause)

    def _later(self, error: Exception) -> LdbError:
        """Return the error for the tests after the first, which shows all of it."""
        if isinstance(error, SetupSkipped):
            return error
        said = error.evidence if isinstance(error, SetupFailed) else text_of(error)
        cause = said.partition("\n")[0].rstrip(".")
        return SetupFailed(
            self._type_name,
            f"its setup, ldb_{self._type_name}_setup, has failed before: {cause}",
            remedy="The first test that used it shows the error.",
        )
