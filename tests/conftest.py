"""What all tests share.

The real engine is the norm: tests that need one fail without it. ``LDB_<NAME>_IMAGE`` names the
image of a type of database, as it does for the plugin.
"""

from __future__ import annotations

import os

import pytest

# Only the tests of cache make some, and remove them.
os.environ["LDB_CACHE"] = "never"

pytest_plugins = ("pytester",)
pytest.register_assert_rewrite("pytest_ldb.testing")
