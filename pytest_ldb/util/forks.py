"""What forked children inherit, and must not use."""

from __future__ import annotations

import functools
import os
import sys
import threading
import weakref
from typing import Protocol

from .poll import tries

THREADS = "ldb-"
"""What the names of this package's threads begin with."""

IMPORTED_WITHIN_S = 2.0


class Closable(Protocol):
    """A connection, or one end of a pipe."""

    def close(self) -> None:
        """Close this process's side."""


def close_in_children(inherited: Closable) -> None:
    """Close a connection in forked children: a copy there would hide this process's end.

    The other side sees the end of a connection when its last copy is closed.
    """
    if hasattr(os, "register_at_fork"):
        # Hooks cannot be unregistered, and would keep closed connections in memory.
        reference = weakref.ref(inherited)

        def close() -> None:
            copy = reference()
            if copy is not None:
                copy.close()

        os.register_at_fork(after_in_child=close)


@functools.cache
def fork_between_imports() -> None:
    """Have forks of this process wait until its threads of ours import nothing.

    A thread is not forked. What it was importing would be incomplete in the child, for good.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_wait_for_imports)


def _wait_for_imports() -> None:
    for _ in tries(IMPORTED_WITHIN_S, pause_s=0.001):
        threads = (thread.name for thread in threading.enumerate())
        if not any(name.startswith(THREADS) for name in threads) or not _is_importing():
            return


def _is_importing() -> bool:
    specs = (getattr(module, "__spec__", None) for module in list(sys.modules.values()))
    return any(getattr(spec, "_initializing", False) for spec in specs)
