"""Draws the pictures of the README: a run and the command on a terminal.

    python tests/engine/prepare.py --run python tests/docs/pictures.py

Images that replace those of a registry are shown under the names in the registry.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[2]
WIDTH = 116

PICTURES = {
    "run": (".", ["pytest -n 2 --ldb-keep test_postgres.py test_redis.py"]),
    "list": (
        ".",
        [
            "pytest-ldb create mysql --name shop",
            "pytest-ldb stop shop",
            "pytest-ldb create redis --name cache --port 16379",
            "pytest-ldb list",
        ],
    ),
}


def main() -> None:
    """Draw all pictures; the servers that they show are deleted afterwards."""
    with tempfile.TemporaryDirectory() as work:
        state = Path(work) / "state"
        shop = shutil.copytree(ROOT / "docs" / "examples", Path(work) / "shop")
        environment = _environment(state)
        try:
            for name, (folder, commands) in PICTURES.items():
                shown = "".join(_shown(command, shop / folder, environment) for command in commands)
                _draw(shown, ROOT / "docs" / "images" / f"{name}.svg")
        finally:
            delete = [sys.executable, "-m", "pytest_ldb", "delete", "--all", "--volumes", "--force"]
            subprocess.run(delete, env=environment, cwd=ROOT, check=True)


def _environment(state: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    terminal = {"TERM": "xterm-256color", "COLUMNS": str(WIDTH), "PATH": path}
    return {**os.environ, **terminal, "XDG_STATE_HOME": str(state), "LDB_CACHE": "never"}


def _shown(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a command on a terminal and return what that shows, prompt included."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["sh", "-c", command], cwd=folder, env=environment, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # end of the terminal output
        while chunk := os.read(ours, 65536):
            shown += chunk
    os.close(ours)
    assert process.wait() == 0, shown.decode()
    text = shown.decode().replace("\r\n", "\n").replace("localhost/pytest-ldb/", "")
    text = re.sub(r", cache never, images ( ?\w+=\S+)*,", ",", text.replace(", \n", ", "))
    return f"\x1b[1;36m$\x1b[0m {command}\n{text}"


def _draw(shown: str, path: Path) -> None:
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print(Text.from_ansi(shown))
    console.save_svg(str(path), title="pytest-ldb", unique_id=path.stem)
    print(path)  # noqa: T201


if __name__ == "__main__":
    main()
