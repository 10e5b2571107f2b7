"""Passwords: derived from a secret of the user and from the request, and never stored."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..util.home import home
from ..util.locks import alone
from .errors import InvalidRequest

SECRET_BYTES = 32


class UserIdentity:
    """The user of this machine, as engines know them. The only holder of the user's secret.

    Args:
        secret: 32 random bytes, see :meth:`load`.

    Attributes:
        mark: Distinguishes this user's resources on an engine from those of others, 16 hex digits.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._passwords: dict[str, str] = {}
        self.mark = self._digest("user")[:16]

    @classmethod
    def load(cls, directory: Path) -> UserIdentity:
        """Read the secret from a directory; it is created on first use, with mode 0600.

        Raises:
            InvalidRequest: The directory cannot be used, or others can read the secret.
        """
        path = directory / "secret"
        try:
            if not _is_whole(path):
                _make_secret(path)
            _check_private(path)
            return cls(path.read_bytes())
        except OSError as error:
            raise InvalidRequest(
                str(directory),
                "the directory for the state of pytest-ldb cannot be used",
                evidence=str(error),
                remedy="Make it writable, or set XDG_STATE_HOME to a directory that is.",
            ) from error

    def password(self, seed: str) -> str:
        """Return the password for a seed, the same in every process and run.

        HMAC-SHA256 of the seed, 32 hex digits (128 bits), so that it needs no quoting anywhere.
        """
        if seed not in self._passwords:
            self._passwords[seed] = self._digest(seed)[:32]
        return self._passwords[seed]

    def __getstate__(self) -> Mapping[str, Any]:
        """Refuse to be pickled: the secret does not leave the process."""
        raise TypeError("the user's secret stays in its process")

    def __repr__(self) -> str:
        return f"<UserIdentity {self.mark}>"

    def _digest(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


def state_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the directory of this user's secret and locks (XDG Base Directory Specification).

    Without a home it is one below the directory for temporary files.
    """
    base, own = Path(environment.get("XDG_STATE_HOME") or ""), home(environment)
    if base.is_absolute():  # The specification says to ignore relative paths.
        return base / "pytest-ldb"
    if own is not None:
        return own / ".local/state/pytest-ldb"
    return Path(tempfile.gettempdir()) / f"pytest-ldb-of-{os.getuid()}"


def _make_secret(path: Path) -> None:
    """Create the secret; of several processes that do so, the first to link its file wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
        try:
            os.link(temporary, path)  # Fails if the file exists; a rename would replace it.
        except OSError:
            if not _is_whole(path):
                _replace_damaged(path, Path(temporary))
    finally:
        Path(temporary).unlink(missing_ok=True)


def _replace_damaged(path: Path, new: Path) -> None:
    """Replace a secret that is absent or was not written completely, so that it is not in use.

    It is absent here on a file system without hard links.
    """
    with alone(path.parent / "locks", "secret"):
        if not _is_whole(path):
            new.replace(path)


def _is_whole(path: Path) -> bool:
    return path.exists() and path.stat().st_size == SECRET_BYTES


def _check_private(path: Path) -> None:
    """Refuse a secret that others can read: they could log in to this user's servers."""
    if os.name != "posix" or not stat.S_IMODE(path.stat().st_mode) & 0o077:
        return
    raise InvalidRequest(
        str(path),
        "other users can read this secret, from which the passwords of servers are derived",
        evidence=f"its mode is {stat.filemode(path.stat().st_mode)}",
        remedy=f"Run `chmod 600 {path}`. If that changes nothing, its file system has no modes: "
        "set XDG_STATE_HOME to a directory on another one.",
    )
