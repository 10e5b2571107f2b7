"""Passwords that nobody stores."""

from __future__ import annotations

import multiprocessing
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_ldb.model.credentials import derive_password, state_directory, user_secret
from pytest_ldb.model.errors import InvalidRequest


def test_a_password_follows_from_the_secret_and_the_request() -> None:
    password = derive_password(b"secret", "fingerprint")
    assert password == derive_password(b"secret", "fingerprint")
    assert password != derive_password(b"another", "fingerprint")
    assert password != derive_password(b"secret", "another")
    assert len(password) == 32
    assert set(password) <= set("0123456789abcdef")


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    secret = user_secret(tmp_path / "state")
    assert len(secret) == 32
    assert user_secret(tmp_path / "state") == secret
    assert user_secret(tmp_path / "elsewhere") != secret


def test_only_the_user_can_read_the_secret(tmp_path: Path) -> None:
    user_secret(tmp_path / "state")
    assert stat.S_IMODE((tmp_path / "state" / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["secret"]


def test_processes_that_make_the_secret_at_once_get_the_same(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from pytest_ldb.model.credentials import user_secret\n"
        "sys.stdin.read(); print(user_secret(pathlib.Path(sys.argv[1])).hex())"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, tmp_path / "state"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(max(4, multiprocessing.cpu_count()))
    ]
    for process in processes:  # All of them start when the gate opens.
        assert process.stdin
        process.stdin.close()
        process.stdin = None
    secrets = {process.communicate()[0].strip() for process in processes}
    assert secrets == {user_secret(tmp_path / "state").hex()}


def test_the_first_one_that_links_its_secret_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def somebody_else_was_faster(_: str, path: Path) -> None:
        path.write_bytes(b"x" * 32)
        raise FileExistsError

    monkeypatch.setattr("os.link", somebody_else_was_faster)
    assert user_secret(tmp_path) == b"x" * 32
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_a_damaged_secret_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"short")
    secret = user_secret(tmp_path)
    assert len(secret) == 32
    assert user_secret(tmp_path) == secret


def test_a_directory_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidRequest) as caught:
        user_secret(tmp_path / "file" / "state")
    assert caught.value.subject == str(tmp_path / "file" / "state")
    assert "Not a directory" in caught.value.evidence
    assert "XDG_STATE_HOME" in caught.value.remedy


@pytest.mark.parametrize(
    ("variable", "directory"),
    [("/state", "/state/pytest-ldb"), ("", "/home/me/.local/state/pytest-ldb")],
)
def test_state_is_where_the_user_keeps_it(
    monkeypatch: pytest.MonkeyPatch, variable: str, directory: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_STATE_HOME", variable)
    assert state_directory() == Path(directory)
