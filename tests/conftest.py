"""What all tests share.

The real engine is the norm: tests that need one fail without it. ``LDB_<NAME>_IMAGE`` names the
image of a type of database, as it does for the plugin.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

# Only the tests of cache make some, and remove them.
os.environ["LDB_CACHE"] = "never"

pytest_plugins = ("pytester",)
pytest.register_assert_rewrite("pytest_ldb.testing")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, which is its own authority, as Docker's client wants it."""
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
