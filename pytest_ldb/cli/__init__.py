"""The command `pytest-ldb`: manage servers outside test runs.

``app`` defines the command; ``manage``, ``inspect``, ``maintain`` and ``doctor`` define its
sub-commands, ``context`` the objects that they share; ``output`` and ``terminal`` print. Only this
folder imports click, rich and psutil, which the extra `cli` installs.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command and exit with its exit code."""
    try:
        from .app import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("click", "rich", "psutil"):
            raise
        sys.exit(
            f"pytest-ldb: the command needs {error.name}, which is not installed.\n"
            "Run `pip install 'pytest-ldb[cli]'`. The pytest plugin works without it."
        )
    except KeyboardInterrupt:  # Ctrl-C during the imports; `run` handles it later.
        sys.exit(130)
    sys.exit(run())
