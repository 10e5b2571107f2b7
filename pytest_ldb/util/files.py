"""Files that other processes read while they are written."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Write a file so that readers find either the old content or all of the new one.

    Args:
        path: The file; its folder must exist.
        text: The content.
        mode: The permissions, of which the umask takes some away.

    Raises:
        OSError: It cannot be written; what was there is unchanged.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
