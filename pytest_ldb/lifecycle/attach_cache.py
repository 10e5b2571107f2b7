"""A cache of kept servers' container ids, for the next run of a checkout.

It is a hint only: every entry is verified before use. With it the next run opens shells earlier.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..model.credentials import UserIdentity
from ..util import clock
from ..util.files import write_atomically

if TYPE_CHECKING:
    from .planner import ResolvedServer

FORGOTTEN_AFTER_S = 30 * 24 * 3600.0

_PASSWORD = "{password}"  # noqa: S105 - a placeholder


class AttachCache:
    """The kept servers of a checkout, one file for each type.

    Args:
        state: The user's directory for state.
        root: The directory of the checkout.
        identity: Derives the passwords, which are not stored.
    """

    def __init__(self, state: Path, root: Path, identity: UserIdentity) -> None:
        self._state = state
        self._name = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
        self._identity = identity

    def environment(self, type_name: str) -> tuple[str, dict[str, str]] | None:
        """Return the container of a type and the environment of its clients; None if not known."""
        try:
            entry = json.loads(self._file(type_name).read_text())
            password = self._identity.password(entry["fingerprint"])
            values: Mapping[str, str] = entry["environment"]
            filled = {name: text.replace(_PASSWORD, password) for name, text in values.items()}
            return str(entry["container"]), filled
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def keep(self, server: ResolvedServer, container: str) -> None:
        """Store the container of a kept server; its password is left out."""
        password = server.credentials.password
        entry = {
            "container": container,
            "fingerprint": server.request.fingerprint,
            "environment": {
                name: text.replace(password, _PASSWORD)
                for name, text in server.client_environment.items()
            },
        }
        file, text = self._file(server.database_type.name), json.dumps(entry)
        with suppress(OSError):
            if file.exists() and file.read_text() == text:
                return
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._forget_old()
            write_atomically(file, text)

    def _forget_old(self) -> None:
        """Remove entries that were written long ago: their checkouts may be deleted."""
        for file in (self._state / "kept").iterdir():
            if clock.since_1970() - file.stat().st_mtime > FORGOTTEN_AFTER_S:
                file.unlink()

    def _file(self, type_name: str) -> Path:
        return self._state / "kept" / f"{self._name}-{type_name}.json"
