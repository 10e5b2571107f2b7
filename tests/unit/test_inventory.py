"""Listed, standalone and stale servers on the fake engine."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from pytest_ldb.cli.inventory import Inventory, refuse_if_used, run_beside
from pytest_ldb.cli.stale import StaleResources
from pytest_ldb.cli.standalone import StandaloneServers
from pytest_ldb.engines.protocol import ContainerSpec, File
from pytest_ldb.lifecycle.cache import DAY_S, CachedServer, ServerCache
from pytest_ldb.lifecycle.container_spec import identified, volumes_for
from pytest_ldb.lifecycle.owned import OwnedServers
from pytest_ldb.lifecycle.planner import Planner, resolved
from pytest_ldb.model.credentials import UserIdentity
from pytest_ldb.model.errors import (
    AmbiguousName,
    CommandFailed,
    ForeignContainer,
    InstanceDied,
    InstanceNotFound,
    InUse,
    InvalidRequest,
    NameTaken,
    VolumeUnusable,
)
from pytest_ldb.model.request import LABEL, CreateInstanceRequest, Scope
from pytest_ldb.model.settings import Settings
from pytest_ldb.testing.fake.engine import FakeEngine

from .conftest import FAKE

pytestmark = pytest.mark.process

ME, OTHER = UserIdentity(bytes(32)), UserIdentity(bytes(31) + b"x")
OTHER_TYPE = replace(FAKE, name="other")


@dataclass
class Desk:
    """A user of the command on an engine."""

    fake: FakeEngine
    directory: Path
    identity: UserIdentity = ME

    @property
    def inventory(self) -> Inventory:
        return Inventory(self.fake, self.identity)

    @property
    def cache(self) -> ServerCache:
        return ServerCache(self.directory / "cache", self.identity.mark, self.fake.url)

    def create(self, database_type: Any = FAKE, **wanted: Any) -> str:
        scope = Scope.standalone(self.identity.mark)
        planner = Planner(self.fake, Settings(), scope, self.identity, print)
        owned = OwnedServers(self.fake, 10.0)
        return StandaloneServers(planner, owned).create(database_type, **wanted).name

    def serve(self, run: str = "1", *, age_s: float = 0.0, stopped: bool = False, **so: Any) -> str:
        """Create a server of a run with the given age, and return the name of its container."""
        image = self.fake.image(FAKE.image, pull="missing", say=print)
        scope = Scope(project="shop-12345678", run=run, user=self.identity.mark)
        request = CreateInstanceRequest(
            database_type=FAKE, image=FAKE.image, image_id=image.id, scope=scope, **so
        )
        spec = identified(resolved(request, image, self.identity).spec, uuid4())
        created = (datetime.now(timezone.utc) - timedelta(seconds=age_s)).isoformat()
        labels = {**spec.labels, f"{LABEL}created": created}
        self.fake.create(replace(spec, labels=labels, auto_remove=False))
        self.fake.start(spec.name).close()
        if stopped:
            self.fake.stop(spec.name)
        return spec.name

    def dead(self, *, volumes: bool = False) -> list[tuple[str, str]]:
        stale = StaleResources(self.fake, self.inventory, self.cache, self.directory / "locks")
        found = stale.found(self.inventory.servers(), volumes=volumes)
        return [(one.what, one.name) for one in found]

    def prune(self) -> None:
        stale = StaleResources(self.fake, self.inventory, self.cache, self.directory / "locks")
        for one in list(stale.found(self.inventory.servers(), volumes=True)):
            one.remove()

    def names(self) -> list[str]:
        return self.inventory.names()


@pytest.fixture
def desk(fake: FakeEngine, tmp_path: Path) -> Desk:
    return Desk(fake, tmp_path / "state")


def test_unambiguous_prefix_of_a_name_is_accepted(desk: Desk) -> None:
    one, other = desk.create(name="shop-blue"), desk.create(name="shop-red")
    inventory = desk.inventory
    for text in (one, "ldb-shop-blue", "shop-b", "blue", "blu"):
        assert inventory.find(text).instance.name == one
    identity = str(inventory.find(other).instance.id)
    assert inventory.find(identity[:13]).instance.name == other
    with pytest.raises(AmbiguousName) as caught:
        inventory.find("shop")
    assert caught.value.evidence == "shop-blue\nshop-red"
    for text in ("", "lue", "shop-blue-more", "s.op", "-", "*"):
        with pytest.raises((InstanceNotFound, AmbiguousName)):
            inventory.find(text)


def test_exact_name_wins_over_longer_names(desk: Desk) -> None:
    for name in ("fake", "fake-2", "fakes"):
        desk.create(name=name)
    assert desk.inventory.find("fake").instance.name == "fake"


def test_servers_of_other_users_are_hidden(desk: Desk) -> None:
    name = replace(desk, identity=OTHER).create()
    with pytest.raises(InstanceNotFound, match="belongs to another user"):
        desk.inventory.find(name)
    assert desk.inventory.servers() == []
    assert desk.create() == "fake-2"


def test_foreign_containers_are_reported_as_foreign(desk: Desk, fake: FakeEngine) -> None:
    desk.create(name="mine")
    mine = fake.find("ldb-mine")
    assert mine is not None
    spec = _plain(fake)
    fake.create(replace(spec, name="ldb-foreign", labels={}))
    with pytest.raises(ForeignContainer):
        desk.inventory.find("foreign")
    with pytest.raises(ForeignContainer):
        desk.create(name="foreign")


def test_default_names_are_generated(desk: Desk, fake: FakeEngine) -> None:
    assert [desk.create(), desk.create(), desk.create(OTHER_TYPE)] == ["fake", "fake-2", "other"]
    fake.remove("ldb-fake")
    assert desk.create() == "fake-3", "the volume of the first holds data"
    assert desk.create(name="fake") == "fake"
    assert desk.inventory.find("fake").volumes == ["ldb-fake"]


@pytest.mark.parametrize("name", ["a b", "-a", "a/b", "ä", "a\n", "ldb-", "n" * 101])
def test_invalid_names_are_refused(desk: Desk, name: str) -> None:
    with pytest.raises(InvalidRequest, match="not a valid name for a server"):
        desk.create(name=name)


def test_name_and_volume_belong_to_one_server(desk: Desk) -> None:
    desk.create(name="mine")
    with pytest.raises(NameTaken, match="pytest-ldb start mine"):
        desk.create(name="mine")
    with pytest.raises(VolumeUnusable, match="mine uses it"):
        desk.create(name="more", volume="ldb-mine")
    with pytest.raises(VolumeUnusable, match="contains data of fake, which other cannot read"):
        desk.create(OTHER_TYPE, name="more", volume="ldb-mine")
    with pytest.raises(VolumeUnusable, match="pytest-ldb did not create this volume"):
        replace(desk, identity=OTHER).create(name="more", volume="ldb-mine")
    assert desk.names() == ["mine"]


def test_failed_creation_keeps_a_preexisting_volume(desk: Desk, fake: FakeEngine) -> None:
    desk.create(name="mine")
    fake.remove("ldb-mine")
    database_type = replace(FAKE, command=("sh", "-c", "exit 3"))
    for name in ("mine", "new"):
        with pytest.raises(InstanceDied):
            desk.create(database_type, name=name)
    assert desk.names() == []
    assert [volume.name for volume in fake.volumes({})] == ["ldb-mine"]


def test_processes_using_a_server_are_counted(desk: Desk, fake: FakeEngine) -> None:
    name = desk.create()
    server = desk.inventory.find(name)
    assert server.processes == 0
    refuse_if_used(server)
    shells = [fake.shell(f"ldb-{name}", environment={}, ephemeral=False) for _ in range(2)]
    for count, said in ((2, "2 processes use this server"), (1, "a process uses this server")):
        server = desk.inventory.find(name)
        assert server.processes == count
        with pytest.raises(InUse, match=said):
            refuse_if_used(server)
        shells.pop().close()
        time.sleep(0.5)
    fake.stop(f"ldb-{name}")
    assert desk.inventory.find(name).processes is None


def test_silent_exec_times_out(
    desk: Desk, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_ldb.cli.inventory.LOOK_TIMEOUT_S", 0.1)
    container = f"ldb-{desk.create()}"
    with pytest.raises(CommandFailed, match=r"`sleep` wrote nothing for 0\.1 s"):
        run_beside(fake, container, ["sleep", "60"])


def test_server_purpose_is_described(desk: Desk) -> None:
    desk.create(name="own")
    desk.serve(kept=True)
    desk.serve(run="2")
    desk.serve(run="3", shared=False, suffix="x")
    purposes = [server.purpose for server in desk.inventory.servers()]
    assert sorted(purposes) == ["kept", "run", "standalone", "test"]


def test_only_dead_resources_are_stale(desk: Desk, fake: FakeEngine) -> None:
    over = desk.serve(age_s=120)
    test_over = desk.serve(run="2", age_s=2 * 3600, stopped=True, shared=False)
    used = desk.serve(run="3", age_s=120)
    shell = fake.shell(used, environment={}, ephemeral=False)
    desk.serve(run="4")  # Created just now.
    desk.serve(run="5", age_s=120, kept=True)
    desk.serve(run="6", age_s=120, stopped=True, shared=False)
    fake.stop(f"ldb-{desk.create(name='own')}")
    desk.create(name="gone")
    fake.remove("ldb-gone")
    dead = {("container", over), ("container", test_over)}
    assert set(desk.dead()) == dead
    assert set(desk.dead(volumes=True)) == dead | {("volume", "ldb-gone")}
    before = len(desk.names())
    desk.prune()
    assert desk.dead(volumes=True) == []
    assert len(desk.names()) == before - 2
    assert [volume.name for volume in fake.volumes({})] == ["ldb-own"]
    shell.close()


def test_old_cache_records_and_unrecorded_images_are_stale(desk: Desk, fake: FakeEngine) -> None:
    image = fake.image(FAKE.image, pull="missing", say=print)
    spec = _plain(fake)
    container = fake.create(replace(spec, labels={}, files={"/data/x": File(b"")}))
    labels = {f"{LABEL}user": desk.cache.user}
    unnamed = fake.remember(container, ["/data"], labels, "unnamed:1")
    fake.remember(container, ["/data"], {f"{LABEL}user": "other"}, "others:1")
    for key in ("old", "new"):
        told = CachedServer(
            key=key, image="x", type="fake", base=FAKE.image, base_id=image.id, engine=fake.url
        )
        desk.cache.add(told)
    then = time.time() - 31 * DAY_S
    os.utime(desk.directory / "cache" / "old.json", (then, then))
    assert desk.dead() == [("cached", "old"), ("image", unnamed[7:19])]
    desk.prune()
    assert [cached.key for cached, _ in desk.cache.known()] == ["new"]
    assert len(fake.images({f"{LABEL}user": ""})) == 1


def test_multiple_volumes_are_named_after_paths() -> None:
    assert volumes_for("", ["/a", "/b"]) == {}
    assert volumes_for("v", []) == {}
    assert volumes_for("v", ["/data/db"]) == {"/data/db": "v"}
    assert volumes_for("v", ["/data/db", "/data/c"]) == {
        "/data/db": "v-data-db",
        "/data/c": "v-data-c",
    }


def _plain(fake: FakeEngine) -> ContainerSpec:
    image = fake.image(FAKE.image, pull="missing", say=print)
    request = CreateInstanceRequest(
        database_type=FAKE, image=FAKE.image, image_id=image.id, scope=Scope.standalone(ME.mark)
    )
    return resolved(request, image, ME).spec


NEEDED = ("schema", "id", "name", "type", "project", "fingerprint", "run", "created", "facts")


def _labels_without(labels: Mapping[str, str], name: str) -> dict[str, str]:
    named = {**labels, f"{LABEL}name": f"without-{name}"}
    return {label: text for label, text in named.items() if label != f"{LABEL}{name}"}


def test_containers_with_inherited_or_incomplete_labels_are_left_alone(
    desk: Desk, fake: FakeEngine
) -> None:
    """A user starts containers from our images, or from images made of our containers."""
    ours = desk.serve(run="1", age_s=120, stopped=True)
    found = fake.find(ours)
    assert found is not None
    complete = found.labels
    theirs = {
        "of-a-commit": complete,
        "of-the-cache": {f"{LABEL}cached": "key", f"{LABEL}user": desk.identity.mark},
        **{f"ldb-without-{name}": _labels_without(complete, name) for name in NEEDED},
        "ldb-odd-facts": {**complete, f"{LABEL}name": "odd-facts", f"{LABEL}facts": "[]"},
        "ldb-odd-id": {**complete, f"{LABEL}name": "odd-id", f"{LABEL}id": "x"},
    }
    for name, labels in theirs.items():
        fake.create(replace(_plain(fake), name=name, labels=labels, auto_remove=False))
    builder = {f"{LABEL}cached": "key", f"{LABEL}user": desk.identity.mark}
    fake.create(replace(_plain(fake), name="ldb-cache-key", labels=builder))
    assert [server.container.name for server in desk.inventory.servers()] == [ours]
    assert desk.dead() == [("container", ours), ("container", "ldb-cache-key")]
    desk.prune()
    assert {container.name for container in fake.containers({})} == set(theirs)
