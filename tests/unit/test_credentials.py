"""The user's secret, and the passwords that derive from it."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import pwd
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pytest_ldb.model.credentials import UserIdentity, state_directory
from pytest_ldb.model.errors import InvalidRequest


def secret_in(directory: Path) -> bytes:
    UserIdentity.load(directory)
    return (directory / "secret").read_bytes()


def test_password_derives_from_secret_and_seed() -> None:
    identity, other = UserIdentity(b"secret"), UserIdentity(b"another")
    password = identity.password("fingerprint")
    assert password == UserIdentity(b"secret").password("fingerprint")
    assert password != other.password("fingerprint")
    assert password != identity.password("another")
    assert len(password) == 32
    assert set(password) <= set("0123456789abcdef")


def test_mark_differs_by_user() -> None:
    assert UserIdentity(b"secret").mark == UserIdentity(b"secret").mark
    assert UserIdentity(b"secret").mark != UserIdentity(b"another").mark


def test_secret_is_never_shown_or_sent() -> None:
    identity = UserIdentity(b"secret")
    assert "secret" not in repr(identity)
    with pytest.raises(TypeError, match="stays in its process"):
        pickle.dumps(identity)


def test_secret_is_made_once(tmp_path: Path) -> None:
    secret = secret_in(tmp_path / "state")
    assert len(secret) == 32
    assert secret_in(tmp_path / "state") == secret
    assert secret_in(tmp_path / "elsewhere") != secret


def test_only_the_user_can_read_the_secret(tmp_path: Path) -> None:
    secret_in(tmp_path / "state")
    assert stat.S_IMODE((tmp_path / "state" / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["secret"]


def test_concurrent_processes_get_the_same_secret(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from pytest_ldb.model.credentials import UserIdentity\n"
        "sys.stdin.read(); print(UserIdentity.load(pathlib.Path(sys.argv[1])).mark)"
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
    marks = {process.communicate()[0].strip() for process in processes}
    assert marks == {UserIdentity.load(tmp_path / "state").mark}


def test_first_process_that_links_its_secret_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_process_was_faster(_: str, path: Path) -> None:
        path.write_bytes(b"x" * 32)
        path.chmod(0o600)
        raise FileExistsError

    monkeypatch.setattr("os.link", another_process_was_faster)
    assert UserIdentity.load(tmp_path).mark == UserIdentity(b"x" * 32).mark
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_damaged_secret_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"short")
    secret = secret_in(tmp_path)
    assert len(secret) == 32
    assert secret_in(tmp_path) == secret


def test_unusable_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidRequest) as caught:
        UserIdentity.load(tmp_path / "file" / "state")
    assert caught.value.subject == str(tmp_path / "file" / "state")
    assert "Not a directory" in caught.value.evidence
    assert "XDG_STATE_HOME" in caught.value.remedy


@pytest.mark.parametrize(
    ("variable", "directory"),
    [
        ("/state", "/state/pytest-ldb"),
        ("", "/home/me/.local/state/pytest-ldb"),
        ("relative", "/home/me/.local/state/pytest-ldb"),
    ],
)
def test_state_directory_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, variable: str, directory: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_STATE_HOME", variable)
    assert state_directory() == Path(directory)


@pytest.mark.parametrize("given", [{}, {"HOME": ""}, {"HOME": "relative"}])
def test_state_directory_without_a_home_is_temporary(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    def no_entry(user: int) -> None:
        raise KeyError(user)

    monkeypatch.setattr("pwd.getpwuid", no_entry)
    name = f"pytest-ldb-of-{os.getuid()}"
    assert state_directory(given) == Path(tempfile.gettempdir()) / name


def test_home_of_the_passwd_entry_is_used() -> None:
    home = pwd.getpwuid(os.getuid()).pw_dir
    assert state_directory({}) == Path(home) / ".local/state/pytest-ldb"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_secret_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    secret_in(tmp_path)
    (tmp_path / "secret").chmod(mode)
    with pytest.raises(InvalidRequest, match="other users can read") as caught:
        UserIdentity.load(tmp_path)
    assert f"chmod 600 {tmp_path}/secret" in caught.value.remedy


@pytest.mark.parametrize("damaged", [False, True])
def test_secret_is_made_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    if damaged:
        (tmp_path / "secret").write_bytes(b"short")
    secret = secret_in(tmp_path)
    assert len(secret) == 32
    assert secret_in(tmp_path) == secret


def test_second_process_keeps_the_secret_that_replaced_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_bytes(b"short")

    def another_process_is_faster(*_: object) -> None:
        (tmp_path / "secret").write_bytes(b"x" * 32)
        (tmp_path / "secret").chmod(0o600)
        raise FileExistsError

    monkeypatch.setattr("os.link", another_process_is_faster)
    assert UserIdentity.load(tmp_path).mark == UserIdentity(b"x" * 32).mark
