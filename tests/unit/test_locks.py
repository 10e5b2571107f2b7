"""Locks between processes."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pytest_ldb.util.locks import alone


def test_lock_is_held_once(tmp_path: Path) -> None:
    locks = tmp_path / "locks"
    with alone(locks, "one"), alone(locks, "two"), pytest.raises(TimeoutError):
        alone(locks, "one", 0).__enter__()
    with alone(locks, "one", 0):
        pass


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_file_system_without_locks_does_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, "refused")

    monkeypatch.setattr("fcntl.flock", refuse)
    with alone(tmp_path, "one", 0), alone(tmp_path, "one", 0):
        pass


def test_file_that_cannot_be_opened_does_without(tmp_path: Path) -> None:
    (tmp_path / "one.lock").mkdir()  # Root can open files of other users.
    (tmp_path / "file").touch()
    with alone(tmp_path, "one", 0), alone(tmp_path / "file", "one", 0):
        pass


def test_error_of_the_block_is_raised(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="its own"), alone(tmp_path, "one"):
        raise OSError("its own")
