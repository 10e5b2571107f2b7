"""Processes that outlive this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

import pytest_ldb
from pytest_ldb.testing.processes import wait_until
from pytest_ldb.util.detached import detached

PROGRAM = """
import importlib, json, os, sys
result, *names = sys.argv[1:]
files = {}
for name in names:
    try:
        files[name] = importlib.import_module(name).__file__
    except ImportError as error:
        files[name] = None
with open(result + ".new", "w") as file:
    json.dump({"files": files, "environment": dict(os.environ), "modules": [*sys.modules]}, file)
os.rename(result + ".new", result)
"""


def result_of(
    folder: Path, names: Sequence[str] = (), needs: Sequence[str] = ()
) -> dict[str, dict[str, str]]:
    result = folder / "result"
    process = detached(PROGRAM, str(result), *names, needs=needs)
    process.communicate()
    found: dict[str, dict[str, str]] = json.loads(result.read_text())
    return found


def write_modules(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name / "__init__.py" if name == "docker" else folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text("raise AssertionError('a module of the project')")


SHADOWS = ("types", "json", "docker", "filelock", "requests", "sitecustomize", "click")


@pytest.mark.parametrize("how", ["sys.path", "PYTHONPATH"])
def test_modules_of_the_project_do_not_shadow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    write_modules(tmp_path, *SHADOWS, "simplejson")
    if how == "sys.path":
        monkeypatch.syspath_prepend(tmp_path)
    else:
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    names = ("json", "docker", "filelock", "pytest_ldb.engines.docker.transport.sdk")
    found = result_of(tmp_path, [*names, "types", "simplejson"])
    assert all(str(tmp_path) not in (file or "") for file in found["files"].values())
    assert all(found["files"][name] for name in names)
    assert "sitecustomize" not in found["modules"]


def test_this_package_is_found_where_it_was_imported_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if "packages" in entry])
    found = result_of(tmp_path, ["pytest_ldb"])
    assert found["files"]["pytest_ldb"] == pytest_ldb.__file__


@pytest.mark.parametrize("relative", [False, True])
def test_installed_package_on_the_path_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relative: bool
) -> None:
    target = tmp_path / "vendored"
    (target / "other-1.0.dist-info").mkdir(parents=True)
    (target / "vendored_module.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("vendored" if relative else target)
    found = result_of(tmp_path, ["vendored_module"])
    assert found["files"]["vendored_module"] == str(target / "vendored_module.py")


def test_needed_module_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "project" / "engines"
    package.mkdir(parents=True)
    for name in ("__init__", "own"):
        (package / f"{name}.py").touch()
    for name, file in (("engines", "__init__"), ("engines.own", "own")):
        module = ModuleType(name)
        module.__file__ = str(package / f"{file}.py")
        monkeypatch.setitem(sys.modules, name, module)
    for needed in ("engines", "engines.own"):
        found = result_of(tmp_path, ["engines.own"], [needed])
        assert found["files"]["engines.own"] == str(package / "own.py")


def test_environment_has_no_coverage_and_no_relative_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG", "COV_CORE_DATAFILE"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("DOCKER_CERT_PATH", "certificates")
    monkeypatch.setenv("DOCKER_CONFIG", "")
    environment = result_of(tmp_path)["environment"]
    assert not [name for name in environment if name.startswith("COV")]
    assert environment["DOCKER_CERT_PATH"] == str(tmp_path / "certificates")
    assert environment["DOCKER_CONFIG"] == ""


FORKING = """
import os, sys, time
from pytest_ldb.util.detached import detached
detached("import sys; sys.stdin.read(); open(sys.argv[1], 'w').close()", sys.argv[1])
child = os.fork()
if not child:
    time.sleep(60)
    os._exit(0)
print(child, flush=True)
os._exit(0)
"""


def test_forked_child_does_not_keep_the_pipe_open(tmp_path: Path) -> None:
    end = tmp_path / "end"
    with subprocess.Popen(
        [sys.executable, "-c", FORKING, str(end)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        child = int(process.stdout.readline())
        try:
            wait_until(end.exists, 10.0, "the child of the dead process keeps the pipe open")
        finally:
            os.kill(child, signal.SIGKILL)
