"""Passwords that nobody stores: derived from a secret of the user and from what is asked for."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path

from .errors import InvalidRequest

SECRET_BYTES = 32


def derive_password(secret: bytes, fingerprint: str) -> str:
    """Return the password of the servers with this fingerprint: the same in every process and run.

    HMAC-SHA256 of the fingerprint, 32 hex digits (128 bits): no quoting anywhere.
    """
    return hmac.new(secret, fingerprint.encode(), hashlib.sha256).hexdigest()[:32]


def user_mark(secret: bytes) -> str:
    """Return what tells a user's things on an engine from those of others, 16 hex digits."""
    return hmac.new(secret, b"user", hashlib.sha256).hexdigest()[:16]


def state_directory() -> Path:
    """Return where this user's secret and locks are (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "pytest-ldb"


def user_secret(directory: Path) -> bytes:
    """Return this user's secret, made on first use; readable by this user only.

    Raises:
        InvalidRequest: The directory cannot be used.
    """
    path = directory / "secret"
    try:
        secret = path.read_bytes() if path.exists() else b""
        return secret if len(secret) == SECRET_BYTES else _make_secret(path)
    except OSError as error:
        raise InvalidRequest(
            str(directory),
            "the directory for the state of pytest-ldb cannot be used",
            evidence=str(error),
            remedy="Make it writable, or set XDG_STATE_HOME to a directory that is.",
        ) from error


def _make_secret(path: Path) -> bytes:
    """Several processes may do this at once: the first one that links its file wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
        if path.exists() and path.stat().st_size != SECRET_BYTES:
            Path(temporary).replace(path)
        else:
            os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path.read_bytes()
