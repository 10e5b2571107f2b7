"""A server that this process holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ..engines.protocol import Watch
from ..model.database_type import DatabaseType
from ..model.errors import CommandFailed, hidden
from ..model.instance import Instance
from ..shell.client_commands import DatabaseCommands
from ..shell.shell import Shell
from ..util import clock

__tracebackhide__ = hidden


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A server that this process holds: it stays as long as the shell is open.

    Args:
        instance: The server.
        database_type: What runs there.
        shell: Runs commands beside the server, and holds it.
        container: The engine's id of its container; empty for one that exists elsewhere.
        values: The values of the placeholders in commands for that shell.
        outlives_run: Whether the server stays after the run, so that databases must be dropped.
        fingerprint: The fingerprint of the request that the server was made for.
        origin: How it came: ``created``, ``restored`` (from the cache), ``attached``,
            ``restarted`` or ``external``.
        not_cached: Why it was initialised although the cache is used; empty otherwise.
        data_paths: Where the server holds its data in memory.
        start_s: How long it took until the container ran.
        ready_s: How long it took from there until the server answered.
        watch: Evidence of how it runs, if this process waited for it to become ready.
        since: When this process got the lease, in seconds since 1970.
    """

    instance: Instance
    database_type: DatabaseType
    shell: Shell
    values: Mapping[str, str] = field(repr=False)
    outlives_run: bool
    origin: str
    fingerprint: str
    container: str = ""
    not_cached: str = ""
    data_paths: tuple[str, ...] = ()
    start_s: float = 0.0
    ready_s: float = 0.0
    watch: Watch | None = field(default=None, repr=False)
    since: float = field(default_factory=clock.since_1970)

    @cached_property
    def commands(self) -> DatabaseCommands:
        """Runs the commands of the type beside this server."""
        return DatabaseCommands(self.database_type, self.shell, self.values)

    @cached_property
    def is_filled(self) -> bool:
        """Whether init scripts filled the initial database: the declared ones, or the image's."""
        directory = self.database_type.server.init_directory
        if self.origin == "external" or not directory:
            return False
        return bool(self.database_type.init_scripts) or self.shell.holds_files(directory)

    def keep(self) -> None:
        """Keep the server running after its last lease has ended."""
        self.shell.keep()

    def close(self) -> None:
        """End the lease. Returns at once; the script beside the server does the rest."""
        self.shell.close()
        if self.watch:
            self.watch.close()

    def space_taken(self) -> float:
        """Return the used fraction of the space for data, from 0 to 1; 0 if it is not known."""
        if not self.data_paths:
            return 0.0
        try:
            lines = self.shell.run(["df", "-Pk", *self.data_paths]).splitlines()[1:]
        except CommandFailed:
            return 0.0
        return max((self._part(*line.split()[1:3]) for line in lines), default=0.0)

    def _part(self, size_kib: str = "", used_kib: str = "") -> float:
        if not (size_kib.isdigit() and used_kib.isdigit() and int(size_kib)):
            return 0.0  # `df` writes a hyphen for a value that the file system does not report.
        # Data in memory counts towards the memory limit of the container.
        limit = self.database_type.memory_mib
        room = int(size_kib) if limit is None else min(int(size_kib), limit * 1024)
        return int(used_kib) / room
