"""The layers, the single importers, the sizes."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_ldb

ROOT = Path(pytest_ldb.__file__).parent
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
LONGEST = 330

LAYERS = {
    "core": {"core"},
    "databases": {"databases", "core"},
    "runtimes": {"runtimes", "core"},
    "console": {"console", "databases", "runtimes", "core"},
}
IMPORTERS = {"docker": "runtimes/docker.py", "filelock": "core/locks.py", "xdist": "nowhere"}


def imported(file: str) -> Iterator[str]:
    """Yield what a file imports; modules of ours by their path from the top."""
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            above = [".", *Path(file).parts[: -node.level]]
            yield "/".join([*above, *(node.module or node.names[0].name).split(".")])


@pytest.mark.parametrize("file", FILES)
def test_imports_run_one_way_and_files_are_small(file: str) -> None:
    ours = {name.split("/")[1] for name in imported(file) if name.startswith("./")}
    theirs = {name.partition(".")[0] for name in imported(file) if not name.startswith("./")}
    layer = file.partition("/")[0]
    if layer in LAYERS:
        assert ours <= LAYERS[layer]
        assert not theirs & {"pytest", "pytest_ldb", "_pytest"}
    assert all(file == IMPORTERS[name] for name in theirs & set(IMPORTERS))
    assert layer == "console" or not theirs & {"click", "psutil", "rich"}
    assert "console" not in ours or layer == "console" or file == "__main__.py"
    assert ("workerinput" in (ROOT / file).read_text()) <= (file == "workers.py")
    assert len((ROOT / file).read_text().splitlines()) <= LONGEST


def test_the_public_names_are_those_that_can_be_imported() -> None:
    assert sorted(pytest_ldb.__all__) == sorted(pytest_ldb._HOMES)
    assert all(getattr(pytest_ldb, name) for name in pytest_ldb.__all__)
    with pytest.raises(AttributeError, match="'absent'"):
        _ = pytest_ldb.absent


def test_an_unused_plugin_imports_little() -> None:
    modules = modules_after("pytest_ldb.plugin")
    assert not {"docker", "filelock", "requests", "pytest_ldb.session"} & modules


def test_an_engine_on_this_machine_needs_no_sdk() -> None:
    assert not {"docker", "requests"} & modules_after("pytest_ldb.runtimes.local")


def modules_after(module: str) -> set[str]:
    """Return what is imported along with a module."""
    program = f"import sys, {module}; print(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", program], text=True).split())
