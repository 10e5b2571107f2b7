"""What is remembered of kept servers, and shells that are opened early."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from pytest_ldb.lifecycle.attach_cache import FORGOTTEN_AFTER_S, AttachCache
from pytest_ldb.model.credentials import derive_password, user_secret

FINGERPRINT = "f" * 64


@pytest.fixture
def attach_cache(tmp_path: Path) -> AttachCache:
    return AttachCache(tmp_path / "state", tmp_path / "shop")


def file_of(tmp_path: Path) -> Path:
    (file,) = (tmp_path / "state/kept").iterdir()
    return file


def test_what_is_kept_is_remembered_without_its_password(
    attach_cache: AttachCache, tmp_path: Path
) -> None:
    password = derive_password(user_secret(tmp_path / "state"), FINGERPRINT)
    environment = {"PGUSER": "postgres", "PGPASSWORD": password}
    attach_cache.keep("postgres", "abc", FINGERPRINT, environment)
    assert attach_cache.environment("postgres") == ("abc", environment)
    assert password not in file_of(tmp_path).read_text()


def test_nothing_is_known_of_others(attach_cache: AttachCache, tmp_path: Path) -> None:
    attach_cache.keep("postgres", "abc", FINGERPRINT, {})
    assert attach_cache.environment("mysql") is None
    assert AttachCache(tmp_path / "state", tmp_path / "bank").environment("postgres") is None


def test_what_is_known_already_is_not_written_again(
    attach_cache: AttachCache, tmp_path: Path
) -> None:
    attach_cache.keep("postgres", "abc", FINGERPRINT, {})
    before = file_of(tmp_path).stat().st_ino
    attach_cache.keep("postgres", "abc", FINGERPRINT, {})
    assert file_of(tmp_path).stat().st_ino == before
    attach_cache.keep("postgres", "def", FINGERPRINT, {})
    assert attach_cache.environment("postgres") == ("def", {})


def test_what_is_old_is_forgotten_when_something_new_is_kept(
    attach_cache: AttachCache, tmp_path: Path
) -> None:
    attach_cache.keep("postgres", "abc", FINGERPRINT, {})
    os.utime(file_of(tmp_path), (time.time() - FORGOTTEN_AFTER_S - 60,) * 2)
    attach_cache.keep("mysql", "abc", FINGERPRINT, {})
    assert attach_cache.environment("postgres") is None
    assert attach_cache.environment("mysql") == ("abc", {})


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"container": "a"}', json.dumps({"fingerprint": 1, "environment": 2})]
)
def test_what_cannot_be_read_is_nothing(
    attach_cache: AttachCache, tmp_path: Path, text: str
) -> None:
    attach_cache.keep("postgres", "abc", FINGERPRINT, {})
    file_of(tmp_path).write_text(text)
    assert attach_cache.environment("postgres") is None


def test_a_place_that_cannot_be_written_is_no_error(
    attach_cache: AttachCache, tmp_path: Path
) -> None:
    user_secret(tmp_path / "state")
    (tmp_path / "state/kept").write_text("a file")
    attach_cache.keep("postgres", "abc", FINGERPRINT, {})
    assert attach_cache.environment("postgres") is None
