"""The layers, the single importers, the sizes."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_ldb

ROOT = Path(pytest_ldb.__file__).parent
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
LONGEST = 330

BELOW = {
    "util": set(),
    "model": {"util"},
    "shell": {"model", "util"},
    "databases": {"model", "util"},
    "engines": {"shell", "databases", "model", "util"},
    "lifecycle": {"engines", "shell", "databases", "model", "util"},
    "isolation": {"lifecycle", "engines", "shell", "databases", "model", "util"},
    "plugin": {"isolation", "lifecycle", "engines", "shell", "databases", "model", "util"},
    "cli": {"isolation", "lifecycle", "engines", "shell", "databases", "model", "util"},
    "testing": {"isolation", "lifecycle", "engines", "shell", "databases", "model", "util"},
}
"""What each folder may import besides itself."""

MOST_IN_A_FOLDER = 15
IMPORTERS = {
    "docker": "engines/docker/transport/sdk.py",
    "filelock": "util/locks.py",
    "xdist": "nowhere",
}


def imported(file: str) -> Iterator[str]:
    """Yield the imports of a file; modules of this package as paths from its top."""
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            above = [".", *Path(file).parts[: -node.level]]
            yield "/".join([*above, *(node.module or node.names[0].name).split(".")])


@pytest.mark.parametrize("folder", BELOW)
def test_imports_run_downward(folder: str) -> None:
    for file in files_in(folder):
        ours = {name.split("/")[1] for name in imported(file) if name.startswith("./")}
        assert ours <= {folder, *BELOW[folder]}, file


def test_each_dependency_has_one_importer() -> None:
    for file in FILES:
        folder = file.partition("/")[0]
        theirs = {name.partition(".")[0] for name in imported(file) if not name.startswith("./")}
        assert all(file == IMPORTERS[name] for name in theirs & set(IMPORTERS)), file
        assert folder == "cli" or not theirs & {"click", "psutil", "rich"}, file
        assert folder in {"plugin", "testing"} or not theirs & {"pytest", "_pytest"}, file
        assert "pytest_ldb" not in theirs, file
        assert ("workerinput" in (ROOT / file).read_text()) <= (file == "plugin/xdist.py"), file


def test_clocks_are_read_in_one_module() -> None:
    """Others would stand still while freezegun has stopped the clock."""
    for file in FILES:
        if file != "util/clock.py" and not file.startswith("testing/"):
            text = (ROOT / file).read_text()
            assert not re.search(r"\btime\.(monotonic|time)\(|\bdatetime\.now\(", text), file


def test_files_and_folders_are_small() -> None:
    for file in FILES:
        assert len((ROOT / file).read_text().splitlines()) <= LONGEST, file
    folders = {Path(file).parent for file in FILES}
    for folder in folders:
        modules = [path for path in (ROOT / folder).glob("*.py") if path.name != "__init__.py"]
        assert len(modules) <= MOST_IN_A_FOLDER, folder


def files_in(folder: str) -> list[str]:
    """Return the files below a folder of the package, by their path from its top."""
    return [file for file in FILES if file.startswith(f"{folder}/")]


def test_all_lists_the_importable_names() -> None:
    assert sorted(pytest_ldb.__all__) == sorted(pytest_ldb._HOMES)
    assert all(getattr(pytest_ldb, name) for name in pytest_ldb.__all__)
    assert set(pytest_ldb.__all__) <= set(dir(pytest_ldb))
    with pytest.raises(AttributeError, match="'absent'"):
        _ = pytest_ldb.absent


def test_unused_plugin_imports_little() -> None:
    modules = modules_after("pytest_ldb.plugin.hooks")
    assert not {"docker", "filelock", "requests", "pytest_ldb.plugin.session"} & modules


def test_local_engine_needs_no_sdk() -> None:
    assert not {"docker", "requests"} & modules_after("pytest_ldb.engines.docker.engine")


def modules_after(module: str) -> set[str]:
    """Return the modules that are loaded after importing a module."""
    program = f"import sys, {module}; print(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", program], text=True).split())
