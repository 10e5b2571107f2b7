"""The cache of kept servers' containers."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_ldb.engines.protocol import Image
from pytest_ldb.lifecycle.attach_cache import FORGOTTEN_AFTER_S, AttachCache
from pytest_ldb.lifecycle.planner import ResolvedServer, resolved
from pytest_ldb.model.credentials import UserIdentity
from pytest_ldb.model.request import CreateInstanceRequest, Scope

from .conftest import FAKE

IDENTITY = UserIdentity(bytes(32))


def server(name: str = "fake") -> ResolvedServer:
    database_type = replace(FAKE, name=name)
    request = CreateInstanceRequest(
        database_type=database_type,
        image="x",
        image_id="y",
        scope=Scope(project="shop", run="1"),
        kept=True,
    )
    return resolved(request, Image(id="y", volumes=()), IDENTITY)


@pytest.fixture
def attach_cache(tmp_path: Path) -> AttachCache:
    return AttachCache(tmp_path / "state", tmp_path / "shop", IDENTITY)


def file_of(tmp_path: Path) -> Path:
    (file,) = (tmp_path / "state/kept").iterdir()
    return file


def test_server_is_kept_without_its_password(attach_cache: AttachCache, tmp_path: Path) -> None:
    kept = server()
    attach_cache.keep(kept, "abc")
    assert attach_cache.environment("fake") == ("abc", kept.client_environment)
    assert kept.credentials.password in kept.client_environment.values()
    assert kept.credentials.password not in file_of(tmp_path).read_text()


def test_other_types_and_checkouts_are_unknown(attach_cache: AttachCache, tmp_path: Path) -> None:
    attach_cache.keep(server(), "abc")
    assert attach_cache.environment("mysql") is None
    other = AttachCache(tmp_path / "state", tmp_path / "bank", IDENTITY)
    assert other.environment("fake") is None


def test_unchanged_entry_is_not_written_again(attach_cache: AttachCache, tmp_path: Path) -> None:
    attach_cache.keep(server(), "abc")
    before = file_of(tmp_path).stat().st_ino
    attach_cache.keep(server(), "abc")
    assert file_of(tmp_path).stat().st_ino == before
    attach_cache.keep(server(), "def")
    assert attach_cache.environment("fake") == ("def", server().client_environment)


def test_old_entries_are_removed_when_one_is_added(
    attach_cache: AttachCache, tmp_path: Path
) -> None:
    attach_cache.keep(server(), "abc")
    os.utime(file_of(tmp_path), (time.time() - FORGOTTEN_AFTER_S - 60,) * 2)
    attach_cache.keep(server("other"), "abc")
    assert attach_cache.environment("fake") is None
    assert attach_cache.environment("other") == ("abc", server("other").client_environment)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"container": "a"}', json.dumps({"fingerprint": 1, "environment": 2})]
)
def test_unreadable_entry_is_ignored(attach_cache: AttachCache, tmp_path: Path, text: str) -> None:
    attach_cache.keep(server(), "abc")
    file_of(tmp_path).write_text(text)
    assert attach_cache.environment("fake") is None


def test_unwritable_directory_is_no_error(attach_cache: AttachCache, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/kept").write_text("a file")
    attach_cache.keep(server(), "abc")
    assert attach_cache.environment("fake") is None
