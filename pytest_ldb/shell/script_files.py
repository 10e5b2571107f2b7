"""The scripts that shells run beside a server, in POSIX `sh`, read from the folder `scripts`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "scripts"
_COMMANDS = ("owners", "commands", "client", "databases", "templates")


def lease_script(switch_off: str = "") -> str:
    """Return the script to run with ``sh -c``; see ``scripts/lease.sh``.

    Args:
        switch_off: The commands that end the server; in a container of ours by default.
    """
    function = f"switch_off() {{\n{switch_off}\n}}\n" if switch_off else ""
    return script("owners") + (function or script("switch_off_container")) + script("lease")


@cache
def commands_script() -> str:
    """Return the functions that an open shell can be asked to run."""
    return "".join(map(script, _COMMANDS))


@cache
def script(name: str) -> str:
    """Return a script without its comments: some shells read their input byte by byte."""
    lines = (_FOLDER / f"{name}.sh").read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if line.strip()[:1] not in {"", "#"})
