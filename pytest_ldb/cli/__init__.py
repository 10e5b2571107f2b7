"""The command `pytest-ldb`: servers outside of test runs.

``app`` builds the command; ``manage``, ``inspect``, ``maintain`` and ``doctor`` hold its
sub-commands, ``context`` what they share; ``output`` and ``terminal`` write. Only this folder
imports click, rich and psutil, which the extra `cli` installs.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command and end the process with its exit code."""
    try:
        from .app import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("click", "rich", "psutil"):
            raise
        sys.exit(
            f"pytest-ldb: the command needs {error.name}, which is not installed.\n"
            "Run `pip install 'pytest-ldb[cli]'`. The pytest plugin works without it."
        )
    except KeyboardInterrupt:  # Ctrl-C came before there was anything to do about it.
        sys.exit(130)
    sys.exit(run())
