"""Fixtures and settings of all tests.

Tests that need a real engine fail without one. ``LDB_<NAME>_IMAGE`` names the
image of a database type, as it does for the plugin.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

# Only the tests of the cache create cached images, and they remove them.
os.environ["LDB_CACHE"] = "never"

pytest_plugins = ("pytester",)
pytest.register_assert_rewrite("pytest_ldb.testing")


@pytest.fixture(scope="session", autouse=True)
def _runs_without_hypothesis() -> Iterator[None]:
    """Importing Hypothesis takes longer than everything else that most runs of the tests do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")
        yield


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, in the layout of the Docker client."""
    folder = tmp_path_factory.mktemp("certificates")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=pytest-ldb", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    (folder / "ca.pem").write_bytes((folder / "cert.pem").read_bytes())
    return folder
