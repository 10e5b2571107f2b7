"""The user's directories. Every run imports this module, so it imports very little."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_VARIABLES = ("HOME", "USERPROFILE", "XDG_STATE_HOME", "DOCKER_CONFIG")


def surroundings() -> dict[str, str]:
    """Return the environment variables that say where the user's directories are.

    Test suites often point HOME elsewhere. A run reads these variables before that, and uses what
    they were: in another home there is no secret, no cache and no Docker context of the user.
    """
    return {name: os.environ[name] for name in _VARIABLES if os.environ.get(name)}


def home(environment: Mapping[str, str]) -> Path | None:
    """Return the user's home; None if there is none, as in many containers."""
    given = Path(environment.get("HOME" if os.name == "posix" else "USERPROFILE") or "")
    if given.is_absolute():
        return given
    try:
        import pwd

        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except (ImportError, KeyError):  # There is no entry for this user.
        return None
