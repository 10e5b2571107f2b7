"""The size and structure of the package, and the calls that one test makes.

``python tests/benchmarks/house.py [FOLDER]`` prints, for the package in a checkout (by default this
one): its folders, the largest folder, module and function, how often words occur that the style
avoids, and what a test that asks for one fresh Redis database enters from the end of collection to
the end of the session, on the engine that answers.
``LDB_REDIS_IMAGE`` names the image.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

WORDS = re.compile(r"\b(?:nobody|somebody|whoever|everybody|anybody)\b", re.IGNORECASE)

RECORDER = """
import inspect, json, os, sys, threading
import pytest

PACKAGE = os.environ["HOUSE_PACKAGE"]
entered, calls, places, changes = set(), [], {}, []

def profile(frame, event, _):
    if event not in ("call", "return"):
        return
    if event == "return":
        frame = frame.f_back
    if frame is None or not frame.f_code.co_filename.startswith(PACKAGE):
        return
    if frame.f_code.co_name.startswith("<"):  # modules, comprehensions, lambdas
        return
    if not frame.f_code.co_flags & inspect.CO_OPTIMIZED:  # bodies of classes
        return
    file, thread = frame.f_code.co_filename, threading.get_ident()
    if event == "call":
        entered.add((file, frame.f_code.co_firstlineno))
        calls.append((os.path.basename(file), frame.f_code.co_name))
    if places.get(thread) != file:
        places[thread] = file
        changes.append(file)

@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish():
    threading.setprofile(profile)
    sys.setprofile(profile)

@pytest.hookimpl(trylast=True)
def pytest_sessionfinish():
    sys.setprofile(None)
    threading.setprofile(None)
    derivations = ("derive_password", "_digest")
    result = {
        "calls": len(calls),
        "functions": len(entered),
        "files": len({file for file, _ in entered}),
        "changes of file": len(changes),
        "threads": len(places),
        "derivations from the secret": sum(
            file == "credentials.py" and name in derivations for file, name in calls
        ),
    }
    with open(os.environ["HOUSE_RESULT"], "w") as file:
        json.dump(result, file)
"""


def main() -> None:
    """Measure and print."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve()
    package = root / "pytest_ldb"
    modules = sorted(package.rglob("*.py"))
    for folder in sorted({module.parent for module in modules}):
        _print_folder(package, folder)
    lines = {module: len(module.read_text().splitlines()) for module in modules}
    longest = max(lines, key=lambda module: lines[module])
    print(f"{len(modules)} modules, {sum(lines.values())} lines")
    print(f"largest module: {longest.relative_to(package)}, {lines[longest]} lines")
    length, name = max(found for module in modules for found in _functions(module))
    print(f"longest function: {name}, {length} lines without its docstring")
    texts = [*modules, *root.glob("*.md"), *(root / "docs").rglob("*.md")]
    words = sum(len(WORDS.findall(text.read_text())) for text in texts)
    print(f"words that the style avoids: {words} times in code and docs")
    for arguments in ([], ["--ldb-keep"]):
        way = _way(root, arguments)
        told = ", ".join(f"{number} {what}" for what, number in way.items())
        print(f"a test with one fresh database{' and --ldb-keep' if arguments else ''}: {told}")


def _print_folder(package: Path, folder: Path) -> None:
    count = len([module for module in folder.glob("*.py") if module.name != "__init__.py"])
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    name = f"{folder.relative_to(package.parent)}/"
    print(f"{name:36} {count:2} modules  {docstring.partition(chr(10))[0]}")


def _functions(module: Path) -> Iterator[tuple[int, str]]:
    """Yield the length of each function without its docstring, and its name."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or 0) - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node) is not None:
                length -= (first.end_lineno or 0) - first.lineno + 1
            yield length, f"{module.name}:{node.name}"


def _way(root: Path, arguments: list[str]) -> dict[str, int]:
    """Run one test under a profiler, and return what it entered."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "recorder.py").write_text(RECORDER)
        (folder / "test_fresh.py").write_text("def test(ldb_redis_db): assert ldb_redis_db.url\n")
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(root), name]),
            "XDG_STATE_HOME": str(folder / "state"),
            "HOUSE_PACKAGE": str(root / "pytest_ldb"),
            "HOUSE_RESULT": str(folder / "result.json"),
        }
        # Load the plugin from the measured folder, not the installed one.
        plugin = "pytest_ldb.plugin.hooks" if (root / "pytest_ldb/plugin").is_dir() else None
        command = [sys.executable, "-m", "pytest", "-q", "-p", "recorder", "-p", "no:ldb"]
        command += ["-p", plugin or "pytest_ldb.plugin", *arguments]
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        if arguments:
            _delete_kept(folder)
        return dict(json.loads((folder / "result.json").read_text()))


def _delete_kept(folder: Path) -> None:
    """Remove the server that the run kept, which belongs to this folder alone."""
    slug = re.sub("[^a-z0-9]+", "-", folder.name.lower()).strip("-")
    listed = subprocess.check_output(
        ["docker", "ps", "--all", "--quiet", "--filter", f"name=ldb-{slug[:20]}"], text=True
    )
    if listed.split():
        subprocess.check_output(["docker", "rm", "--force", "--volumes", *listed.split()])


if __name__ == "__main__":
    main()
