"""What a run paid to find out about kept servers, for the next run of the same checkout.

Nothing of it is believed: it only lets the next run begin early what it would do anyway.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..model.credentials import derive_password, user_secret

FORGOTTEN_AFTER_S = 30 * 24 * 3600.0

_PASSWORD = "{password}"  # noqa: S105 - its place


class AttachCache:
    """Which containers a checkout's kept servers are, one file for each type.

    Args:
        state: The user's directory for state.
        root: The directory of the checkout.
    """

    def __init__(self, state: Path, root: Path) -> None:
        self._state = state
        self._name = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]

    def environment(self, type_name: str) -> tuple[str, dict[str, str]] | None:
        """Return the container of a type, and what lets its clients log in."""
        try:
            told = json.loads(self._file(type_name).read_text())
            password = derive_password(user_secret(self._state), told["fingerprint"])
            values: Mapping[str, str] = told["environment"]
            filled = {name: text.replace(_PASSWORD, password) for name, text in values.items()}
            return str(told["container"]), filled
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def keep(
        self, type_name: str, container: str, fingerprint: str, environment: Mapping[str, str]
    ) -> None:
        """Remember a server; passwords are left out, as they derive from the fingerprint."""
        password = derive_password(user_secret(self._state), fingerprint)
        masked = {name: text.replace(password, _PASSWORD) for name, text in environment.items()}
        told = {"container": container, "fingerprint": fingerprint, "environment": masked}
        file, text = self._file(type_name), json.dumps(told)
        with suppress(OSError):
            if file.exists() and file.read_text() == text:
                return
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._forget_old()
            draft = file.with_suffix(f".{os.getpid()}")
            draft.write_text(text)
            draft.replace(file)

    def _forget_old(self) -> None:
        """Checkouts are deleted some day, and nobody tells us."""
        for file in (self._state / "kept").iterdir():
            if time.time() - file.stat().st_mtime > FORGOTTEN_AFTER_S:
                file.unlink()

    def _file(self, type_name: str) -> Path:
        return self._state / "kept" / f"{self._name}-{type_name}.json"
