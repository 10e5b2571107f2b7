"""The command `pytest-ldb`: servers that are kept, and servers of one's own, outside of test runs.

The map of this folder: ``app`` what the command consists of, and its way out; ``lives``,
``readings``, ``upkeep`` its commands; ``here`` what they work on; ``output`` and ``terminal`` what
they write, and where to. Nothing else imports click and rich, which an extra brings.
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
