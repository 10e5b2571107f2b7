"""Type checkers accept user code that uses the public names."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHECKERS = [
    ("mypy", "--strict"),
    *([("pyright", "--warnings", "--pythonpath", sys.executable)] if find_spec("pyright") else []),
]


@pytest.mark.parametrize("checker", CHECKERS, ids=lambda checker: checker[0])
def test_user_code_type_checks(checker: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *checker, "tests/typing/api.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_package_contains_py_typed() -> None:
    assert (ROOT / "pytest_ldb" / "py.typed").exists()
