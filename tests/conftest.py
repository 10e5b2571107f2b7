"""What all tests share."""

from __future__ import annotations

import os

import pytest

from pytest_ldb.core.types import DatabaseType

pytest_plugins = ("pytester",)
pytest.register_assert_rewrite("pytest_ldb.testing")


def image_of(kind: DatabaseType) -> str:
    """Return the image to test a type with."""
    return os.environ.get(f"LDB_{kind.name.upper()}_IMAGE", kind.image)
