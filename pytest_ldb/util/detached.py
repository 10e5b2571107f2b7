"""Processes that outlive this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from .forks import close_in_children

_PREPARE = "import sys; sys.path += {places!r}\n"

_RELATIVE = ("DOCKER_CONFIG", "DOCKER_CERT_PATH")
"""Variables that may hold a path which is relative to the working directory."""

_FOLDERS = ("site-packages", "dist-packages")

_MEASURING = ("COVERAGE_", "COV_CORE_")
"""Variables with which coverage also measures other processes."""


def detached(script: str, *arguments: str, needs: Iterable[str] = ()) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, which Ctrl-C and killed process groups do not end.

    It finds the standard library and the installed packages. It finds neither the project's
    modules, which may have the name of one that it imports, nor what runs at the start of each
    Python, such as `sitecustomize` and the measuring of coverage.

    Args:
        script: Python.
        arguments: For the script.
        needs: The modules of this process that the script imports and that may not be installed.

    Returns:
        The process; its standard input is a pipe, which the kernel closes when this process ends,
        and which forked children of this process do not keep open.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", "-c", _prepared(script, needs), *arguments],
        bufsize=0,  # A buffer has a lock, which could be locked for ever in a forked child.
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_environment(os.environ),
        cwd="/",  # The present directory may be temporary.
        start_new_session=True,
    )
    assert process.stdin
    close_in_children(process.stdin)
    return process


def _prepared(script: str, needs: Iterable[str]) -> str:
    # What the script finds first is the standard library, then what is installed.
    here = Path(__file__).absolute().parents[2]
    places = [*filter(_has_packages, map(_absolute, sys.path)), here, *map(_place_of, needs)]
    return _PREPARE.format(places=list(dict.fromkeys(map(str, places)))) + script


def _absolute(path: str) -> Path:
    """Return an absolute path; a relative one would mean something else elsewhere."""
    return Path(path).absolute()


def _has_packages(folder: Path) -> bool:
    """Whether packages are installed in a folder: most have their metadata there."""
    return folder.name in _FOLDERS or next(folder.glob("*.dist-info"), None) is not None


def _place_of(module: str) -> Path:
    """Return the folder from which a module of this process was imported."""
    file = Path(getattr(sys.modules.get(module), "__file__", None) or __file__).absolute()
    levels = module.count(".") + (file.stem == "__init__")
    return file.parents[levels]


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in ours.items() if not name.startswith(_MEASURING)}
    return kept | {name: str(_absolute(kept[name])) for name in _RELATIVE if kept.get(name)}
