"""The fake engine and helpers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from uuid import UUID

import pytest

from pytest_ldb.databases import REDIS
from pytest_ldb.model.instance import Address, Credentials, Instance, InstanceStatus
from pytest_ldb.shell.shell import Shell
from pytest_ldb.testing.fake.engine import FakeEngine

FAKE = replace(
    REDIS,
    name="fake",
    image="fake:1",
    server=replace(REDIS.server, arguments=(), tuning=(), program=""),
    client=replace(REDIS.client, argv=()),
    operations=replace(
        REDIS.operations, clone=(), drop=("redis-cli", "-n", "{database}", "FLUSHDB")
    ),
)
"""The database type that runs on the fake engine."""


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeEngine]:
    """A fake engine whose containers are removed after the test."""
    engine = FakeEngine(tmp_path / "fake")
    yield engine
    for container in engine.containers({}):
        engine.remove(container.id)


def instance(**changes: object) -> Instance:
    """Return a default instance with changes."""
    values: dict[str, object] = {
        "id": UUID("6a7e1f6e-7f0b-4f6c-8c0e-0d4cb62e5b0a"),
        "name": "shop-12345678-postgres-deadbeef",
        "database_type": "postgres",
        "image": "postgres:18",
        "credentials": Credentials("postgres", "s3cr't"),
        "created_at": datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc),
        "address": Address("127.0.0.1", 32768),
        "status": InstanceStatus.RUNNING,
        **changes,
    }
    return Instance(**values)  # type: ignore[arg-type]


def process_of(shell: Shell) -> int:
    """Return the id of the process that owns the resources of a local shell."""
    return int(shell.run(["sh", "-c", 'echo "$LDB_LEASE"']).partition("-")[0])


def kill_group(process: int) -> None:
    """Kill the process group of a child; return when it is dead, without reaping it."""
    os.killpg(process, signal.SIGKILL)
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
