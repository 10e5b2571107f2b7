"""What a shell of ours is inside a container, however the engine is asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..core import scripts

HOME = "/dev/shm/ldb"  # noqa: S108 - inside the container, for its shells
USER = "0"


@dataclass(frozen=True)
class ShellCommand:
    """A command to execute in a container, with standard input attached, as ``USER``."""

    arguments: list[str]
    environment: dict[str, str]

    @classmethod
    def of(cls, environment: Mapping[str, str], *, ephemeral: bool) -> ShellCommand:
        """Return the command; see ``Runtime.shell``."""
        fixed = {"LDB_HOME": HOME, "LDB_EPHEMERAL": "1" if ephemeral else ""}
        script = scripts.script(scripts.SWITCH_OFF_CONTAINER)
        return cls(["sh", "-c", script], {**environment, **fixed})
