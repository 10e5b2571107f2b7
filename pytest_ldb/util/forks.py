"""What forked children inherit, and must not use."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


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
