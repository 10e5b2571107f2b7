"""Keep the file system that a test replaces for its program from replacing ours."""

from __future__ import annotations

import sys
from importlib import import_module
from pkgutil import walk_packages

LIBRARIES = ("pytest_ldb", "filelock", "subprocess", "tempfile")
"""What opens files for us."""

NOT_IN_RUNS = ("pytest_ldb.cli", "pytest_ldb.testing", "pytest_ldb.__main__")


def keep_files() -> None:
    """Make pyfakefs leave our modules alone.

    It replaces `open`, `os`, `pathlib` and others in the modules that are loaded by then.
    """
    package = sys.modules["pytest_ldb"]
    for module in walk_packages(package.__path__, "pytest_ldb."):
        if not module.name.startswith(NOT_IN_RUNS):
            import_module(module.name)
    ours = [name for name in sys.modules if name.startswith(LIBRARIES)]
    sys.modules["pyfakefs.fake_filesystem_unittest"].Patcher.SKIPNAMES.update(ours)
