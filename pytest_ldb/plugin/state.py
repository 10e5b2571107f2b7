"""What the plugin knows of the run in this process: one object, under one key of the stash.

What a run that needs no database does not need is imported on use.
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
"""The names and aliases of `databases.BUILTIN`, known without importing those."""


class Messages:
    """Shows lines to the user at once, from any thread, while pytest captures output.

    They go to a duplicate of the standard error, as pytest's faulthandler does it. To suspend the
    capturing instead would cost a test output that it captures at the same time.
    It is made while pytest does not capture: by `pytest_configure` at the latest.
    """

    def __init__(self) -> None:
        self._stream = os.fdopen(os.dup(_stderr()), "wb", buffering=0)

    def __call__(self, line: str) -> None:
        """Show a line."""
        with suppress(ValueError, OSError):  # It is closed, as the run has ended.
            self._stream.write(f"\nldb: {line}\n".encode(errors="backslashreplace"))

    def close(self) -> None:
        """Show nothing from now on."""
        self._stream.close()


class RunPlugin:
    """The settings of the run, its database types, and this process's part in it.

    Args:
        config: pytest's.
        settings: What the user decided.
        given: Those arguments of ``settings`` that the user gave.
        added: The database types that the project and its plugins add.

    Attributes:
        say: Shows a line to the user.
        used: What this process and its workers report of servers, as plain values.
        engine_hooks: How many implementations of `pytest_ldb_engine` there were at first.
    """

    # Not a dataclass: making one takes longer than all else here, in every run.

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
        self.begun: Session | None = None
        """The session, if this process needed one."""
        self._place: Place | None = None
        self.decide(settings, given, added)

    def decide(
        self, settings: Settings, given: Mapping[str, Any], added: Sequence[DatabaseType]
    ) -> None:
        """Take in the settings and types; with ``--ldb-env`` they are read a second time."""
        self.settings, self.given, self.added = settings, given, added

    @property
    def names(self) -> list[str]:
        """The names of all database types."""
        return list(types_by_name(self.added))

    @property
    def types(self) -> Sequence[DatabaseType]:
        """All database types; importing ours takes a moment."""
        from ..databases import all_types

        return all_types(self.added)

    @property
    def place(self) -> Place:
        """This process's place among the processes of the run."""
        if self._place is None:
            from .xdist import find_place

            self._place = find_place(self.config)
        return self._place

    def session(self) -> Session:
        """Return this process's session, which is begun on first use.

        A worker's leases end with its process: xdist ends that after the last test of the run.
        """
        if self.begun is None:
            from .session import Session
            from .xdist import when_controller_is_gone

            self.begun = Session(self)
            self.config.add_cleanup(self.begun.close_own)
            if not self.place.worker:
                self.config.add_cleanup(self.begun.close)
            when_controller_is_gone(self.place, self.begun.abandon)
        return self.begun

    def engine(self, preopened: PreopenedShells | None) -> Engine:
        """Return the engine that a hook chooses, or the Docker engine with these shells."""
        engine: Engine | None = self.config.hook.pytest_ldb_engine(config=self.config)
        if engine is not None:
            return engine
        from ..engines.docker.engine import DockerEngine

        return DockerEngine(preopened=preopened)

    def on_ready(self, instance: Instance) -> None:
        """Call the hook for a server that this process has obtained."""
        __tracebackhide__ = True
        self.config.hook.pytest_ldb_instance_ready(config=self.config, instance=instance)


RUN = pytest.StashKey[RunPlugin]()


def types_by_name(added: Sequence[DatabaseType]) -> Mapping[str, Collection[str]]:
    """Return the aliases of all types, ours and those that are added, by name."""
    return {**BUILTIN, **{database_type.name: database_type.aliases for database_type in added}}


def count_engine_hooks(config: pytest.Config) -> int:
    """Return how many hooks choose the engine."""
    return len(config.hook.pytest_ldb_engine.get_hookimpls())


def _stderr() -> int:
    try:
        return sys.stderr.fileno()
    except (AttributeError, ValueError):  # pytester and some IDEs put another object there.
        return 2
