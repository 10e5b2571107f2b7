"""The file of ``--ldb-report``. Its keys are documented in docs/reference/report.md."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..util.files import write_atomically
from .usage import Use

SCHEMA = 1
"""Increased by incompatible changes; adding a key is compatible."""


def write_report(path: Path, uses: Iterable[Use]) -> str:
    """Write the file atomically. Return an error message, or an empty string on success."""
    text = json.dumps({"schema": SCHEMA, "servers": [_server(use) for use in uses]}, indent=2)
    try:
        _replace(path.resolve(), f"{text}\n")
    except (OSError, RuntimeError) as error:
        return f"{path} could not be written: {getattr(error, 'strerror', None) or error}"
    return ""


def _replace(path: Path, text: str) -> None:
    if path.is_symlink():  # A symlink loop: `resolve` does not raise for it since 3.13.
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a file")  # `replace` would overwrite a device.
    write_atomically(path, text, mode=0o666)  # As other files of the user.


def _server(use: Use) -> dict[str, Any]:
    return {
        "type": use.type,
        "name": use.name,
        "container": use.container or None,
        "image": use.image or None,
        "origin": use.origin,
        "pull_s": _rounded(use.pull_s),
        "start_s": _rounded(use.start_s),
        "ready_s": _rounded(use.ready_s),
        "templates": len(use.templates_s),
        "templates_s": _rounded(sum(use.templates_s, 0.0)),
        "fresh_databases": use.fresh_databases,
        "fresh_wait_median_s": use.median_wait_s,
        "fresh_wait_longest_s": max(use.waits, default=None),
        "processes": use.processes,
        "kept": use.kept,
        "kept_failed": use.kept_failed,
        "ended_by": use.ended_by or None,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
