"""Servers whose creation fails or is interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pytest_ldb.lifecycle.owned import OwnedServers
from pytest_ldb.lifecycle.planner import resolved
from pytest_ldb.model.credentials import UserIdentity
from pytest_ldb.model.errors import EngineFailed, InstanceNotFound
from pytest_ldb.model.request import CreateInstanceRequest, Scope
from pytest_ldb.testing.fake.engine import FakeEngine

from .conftest import FAKE


class Guard:
    """A guard that records whether it was released."""

    released = False

    def release(self) -> None:
        self.released = True


class Failing(FakeEngine):
    """An engine whose create fails."""

    def __init__(self, directory: Path, error: BaseException) -> None:
        super().__init__(directory)
        self.error, self.guards = error, list[Guard]()

    def create(self, spec: Any) -> str:
        raise self.error

    def guard(self, identity: str) -> Any:
        self.guards.append(Guard())
        return self.guards[-1]


@pytest.mark.parametrize(
    ("error", "released"), [(EngineFailed("mine", "no"), True), (KeyboardInterrupt(), False)]
)
def test_guard_stays_armed_only_after_an_interrupted_creation(
    tmp_path: Path, error: BaseException, released: bool
) -> None:
    """The engine may complete the creation although the client was interrupted."""
    engine = Failing(tmp_path, error)
    image = engine.image(FAKE.image, pull="missing", say=print)
    request = CreateInstanceRequest(
        database_type=FAKE, image=FAKE.image, image_id=image.id, scope=Scope.standalone("me")
    )
    owned = OwnedServers(engine, 1.0)
    with pytest.raises(type(error)):
        owned.create(resolved(request, image, UserIdentity(bytes(32))), uuid4())
    owned.close()
    assert [guard.released for guard in engine.guards] == [released]


def test_removed_server_is_named_in_full(tmp_path: Path) -> None:
    owned = OwnedServers(FakeEngine(tmp_path), 1.0)
    with pytest.raises(
        InstanceNotFound, match=r"^ldb-shop-redis-1234: pytest-ldb has no server of"
    ):
        owned.existing("ldb-shop-redis-1234")
