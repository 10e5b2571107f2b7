"""The plugin's state in this process: one object in the stash of pytest's configuration.

Modules that only runs with a database need are imported inside functions, to keep other runs fast.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..engines.docker.preopened import PreopenedShells
    from ..engines.protocol import Engine
    from ..model.database_type import DatabaseType
    from ..model.instance import Instance
    from ..model.settings import Settings
    from .session import Session
    from .xdist import Place

BUILTIN = {"postgres": ("postgresql", "pg"), "mysql": (), "mongodb": ("mongo",), "redis": ()}
"""The names and aliases of `databases.BUILTIN`; importing these would slow down every run."""


class Messages:
    """Prints lines to the user immediately, from any thread, while pytest captures output.

    They are written to a duplicate of standard error, as in pytest's faulthandler plugin.
    Suspending the capture instead would lose output of the running test. Create it while pytest
    does not capture: in `pytest_configure` at the latest.
    """

    def __init__(self) -> None:
        self._stream = os.fdopen(os.dup(_stderr()), "wb", buffering=0)

    def __call__(self, line: str) -> None:
        """Print a line."""
        with suppress(ValueError, OSError):  # The run has ended and closed the stream.
            self._stream.write(f"\nldb: {line}\n".encode(errors="backslashreplace"))

    def close(self) -> None:
        """Close the stream; later lines are dropped."""
        self._stream.close()


class RunPlugin:
    """The settings and database types of the run, and the session of this process.

    Args:
        config: pytest's configuration.
        settings: The settings of the run.
        given: The subset of ``settings`` that the user set.
        added: The database types that the project and its plugins add.

    Attributes:
        say: Prints a line to the user.
        used: Usage records of this process and its workers, as plain values.
        engine_hooks: The initial number of implementations of `pytest_ldb_engine`.
    """

    # Not a dataclass: creating one would take most of the plugin's import time, in every run.

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        given: Mapping[str, Any],
        added: Sequence[DatabaseType],
    ) -> None:
        self.config = config
        self.say = Messages()
        config.add_cleanup(self.say.close)
        self.used: list[dict[str, Any]] = []
        self.engine_hooks = count_engine_hooks(config)
        self._begun: Session | None = None
        self._place: Place | None = None
        self.decide(settings, given, added)

    def decide(
        self, settings: Settings, given: Mapping[str, Any], added: Sequence[DatabaseType]
    ) -> None:
        """Set the settings and types; with ``--ldb-env`` they are read a second time."""
        self.settings, self.given, self.added = settings, given, added
        self._types: Sequence[DatabaseType] = ()

    @property
    def names(self) -> list[str]:
        """The names of all database types."""
        return list(types_by_name(self.added))

    @property
    def types(self) -> Sequence[DatabaseType]:
        """All database types; importing the built-in ones is slow."""
        if not self._types:
            from ..databases import all_types

            self._types = all_types(self.added)
        return self._types

    @property
    def place(self) -> Place:
        """The position of this process in the run."""
        if self._place is None:
            from .xdist import find_place

            self._place = find_place(self.config)
        return self._place

    @property
    def begun(self) -> Session | None:
        """The session of this process; None if it has needed no server.

        A forked child, as of pytest-forked, has a session of its own, which obtains the same
        servers again.
        """
        if self._begun is not None and self._begun.process != os.getpid():
            self._begun = type(self._begun)(self, parent=self._begun)
        return self._begun

    def session(self) -> Session:
        """Return this process's session, created on first use.

        A worker's leases end with its process, which xdist ends after the last test of the run.
        """
        if self.begun is not None:
            return self.begun
        from .session import Session
        from .xdist import when_controller_is_gone

        session = self._begun = Session(self)
        self.config.add_cleanup(session.close_own)
        if not self.place.worker:
            self.config.add_cleanup(session.close)
        when_controller_is_gone(self.place, session.abandon)
        return session

    def engine(self, preopened: PreopenedShells | None) -> Engine:
        """Return the engine of `pytest_ldb_engine`, or the Docker engine with these shells."""
        engine: Engine | None = self.config.hook.pytest_ldb_engine(config=self.config)
        if engine is not None:
            return engine
        from ..engines.docker.engine import DockerEngine

        return DockerEngine(
            preopened=preopened,
            surroundings=self.place.home,
            patience_s=self.settings.timeout_s,
        )

    def on_ready(self, instance: Instance) -> None:
        """Call `pytest_ldb_instance_ready` for a server that this process has obtained."""
        __tracebackhide__ = True
        self.config.hook.pytest_ldb_instance_ready(config=self.config, instance=instance)


class Failure:
    """An exception with which a fixture failed; pytest raises it again for each test.

    Args:
        error: The exception. It is held, so that no other one gets its id.
        line: What is shown instead from the second time on.
    """

    def __init__(self, error: BaseException, line: str) -> None:
        self.error = error
        self.line = line
        self.was_shown = False


RUN = pytest.StashKey[RunPlugin]()
FAILURES = pytest.StashKey[dict[int, Failure]]()
"""The failures of our fixtures, by the ids of the exceptions."""

HOME: pytest.StashKey[dict[str, str]] = pytest.StashKey()
"""What :func:`surroundings` returned before conftest files were loaded."""


def types_by_name(added: Sequence[DatabaseType]) -> Mapping[str, Collection[str]]:
    """Return the aliases of the built-in and the added types, by name."""
    return {**BUILTIN, **{database_type.name: database_type.aliases for database_type in added}}


def count_engine_hooks(config: pytest.Config) -> int:
    """Return the number of implementations of `pytest_ldb_engine`."""
    return len(config.hook.pytest_ldb_engine.get_hookimpls())


def _stderr() -> int:
    try:
        return sys.stderr.fileno()
    except (AttributeError, ValueError):  # pytester and some IDEs replace it.
        return 2
