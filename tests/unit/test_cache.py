"""The server cache on the fake engine."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_ldb.engines.protocol import Image
from pytest_ldb.lifecycle.cache import CI, DAY_S, CachedServer, ServerCache
from pytest_ldb.lifecycle.cache_builder import CacheBuilder, is_verdict
from pytest_ldb.lifecycle.cache_expiry import MOST_OF_A_TYPE, UNUSED_S
from pytest_ldb.lifecycle.lease import Lease
from pytest_ldb.lifecycle.planner import ResolvedServer, resolved
from pytest_ldb.lifecycle.shared import SharedServers
from pytest_ldb.model.credentials import UserIdentity
from pytest_ldb.model.database_type import DatabaseType
from pytest_ldb.model.errors import (
    DiskFull,
    EngineFailed,
    EngineUnavailable,
    ImageUnavailable,
    InstanceDied,
    NotReady,
    OutOfMemory,
)
from pytest_ldb.model.request import CreateInstanceRequest, Scope
from pytest_ldb.testing.fake.engine import FakeEngine
from pytest_ldb.testing.processes import wait_until

from .conftest import FAKE

pytestmark = pytest.mark.process

ME = UserIdentity(bytes(32))

INITIALISE = """
mkdir -p data
[ -e data/initialised ] || { date +%s%N >data/initialised; echo initialising; }
echo "has $(cat data/initialised)"
exec redis-server
"""
FAKE_TYPE = replace(
    FAKE,
    command=("sh", "-c", INITIALISE),
    server=replace(FAKE.server, cached=True, init_directory="/init"),
)


@dataclass
class Machine:
    """A user's machine with a sequence of runs."""

    fake: FakeEngine
    directory: Path
    mode: str = "auto"
    identity: UserIdentity = ME
    leases: list[Lease] = field(default_factory=list)

    def cache(self) -> ServerCache:
        return ServerCache(self.directory / "cache", self.identity.mark, self.fake.url, self.mode)

    def request(
        self, database_type: DatabaseType = FAKE_TYPE, **changes: Any
    ) -> CreateInstanceRequest:
        image = self.image(database_type)
        scope = Scope(project="shop-12345678", run=f"{time.monotonic_ns() % 2**32:08x}")
        return CreateInstanceRequest(
            database_type=database_type,
            image=database_type.image,
            image_id=image.id,
            scope=scope,
            **changes,
        )

    def server(self, database_type: DatabaseType = FAKE_TYPE, **changes: Any) -> ResolvedServer:
        return resolved(
            self.request(database_type, **changes), self.image(database_type), self.identity
        )

    def image(self, database_type: DatabaseType = FAKE_TYPE) -> Image:
        return self.fake.image(database_type.image, pull="missing", say=print)

    def run(self, database_type: DatabaseType = FAKE_TYPE, **changes: Any) -> str:
        """Run once: obtain a server, end it, and build the cache.

        Returns the origin of the server and its data.
        """
        cache = self.cache()
        lease = self.obtain(cache, database_type, **changes)
        data = lease.shell.run(("cat", "data/initialised")).strip()
        self.remembering(cache).build()
        self.end()
        return f"{lease.origin} {data}"

    def obtain(
        self, cache: ServerCache, database_type: DatabaseType = FAKE_TYPE, **changes: Any
    ) -> Lease:
        sharing = SharedServers(
            engine=self.fake,
            cache=cache,
            directory=self.directory / "locks",
            timeout_s=10.0,
            recreate=False,
            say=print,
        )
        lease = sharing.obtain(self.server(database_type, **changes))
        self.leases.append(lease)
        return lease

    def remembering(self, cache: ServerCache) -> CacheBuilder:
        return CacheBuilder(self.fake, cache, self.directory / "locks", 10.0)

    def end(self) -> None:
        for lease in self.leases:
            lease.shell.close()
        self.leases.clear()

    def files(self) -> list[Path]:
        return sorted((self.directory / "cache").glob("*.json"))

    def images(self) -> set[str]:
        return {image.id for image in self.fake.images({"pytest-ldb.user": ""})}

    def known(self) -> set[str]:
        return {cached.image for cached, _ in self.cache().known()}


@pytest.fixture
def machine(fake: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    for name in CI:
        monkeypatch.delenv(name, raising=False)
    machine = Machine(fake, tmp_path / "state")
    yield machine
    machine.end()


def age(file: Path, seconds: float) -> None:
    os.utime(file, (time.time() - seconds,) * 2)


def test_second_server_is_restored_from_the_cache(machine: Machine) -> None:
    first, *others = [machine.run().split() for _ in range(3)]
    assert first[0] == "created"
    assert [other[0] for other in others] == ["restored", "restored"]
    assert others[0] == others[1]
    assert first[1] != others[0][1], "the cache was built from a server that was in use"
    assert machine.images() == machine.known()
    assert not [c for c in machine.fake.containers({}) if c.name.startswith("ldb-cached")]


def test_kept_and_run_servers_share_the_cache(machine: Machine) -> None:
    machine.run()
    assert machine.run(kept=True).startswith("restored")


@pytest.mark.parametrize(
    ("database_type", "changes"),
    [
        (replace(FAKE_TYPE, server=FAKE.server), {}),
        (FAKE_TYPE, {"durable": True}),
        (FAKE_TYPE, {"shared": False}),
    ],
    ids=["undeclared", "durable", "private"],
)
def test_uncacheable_server_is_not_cached(
    machine: Machine, database_type: DatabaseType, changes: dict[str, Any]
) -> None:
    server = machine.server(database_type, **changes)
    cache = machine.cache()
    cache.want(server)
    assert not cache.wanted
    assert cache.find(server.request) is None


def test_image_without_data_paths_is_not_cached(machine: Machine) -> None:
    cache = machine.cache()
    image = replace(machine.image(), volumes=())
    cache.want(resolved(machine.request(), image, ME))
    assert not cache.wanted


@pytest.mark.parametrize(
    ("mode", "ci", "made"), [("auto", True, 0), ("always", True, 1), ("never", False, 0)]
)
@pytest.mark.parametrize("variable", CI)
def test_cache_is_not_created_on_ci_by_default(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    variable: str,
    ci: bool,
    made: int,
) -> None:
    if ci:
        monkeypatch.setenv(variable, "true")
    machine.mode = mode
    machine.run()
    assert len(machine.images()) == made


def test_existing_cache_is_used_on_ci(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.run()
    monkeypatch.setenv("CI", "true")
    assert machine.run().startswith("restored")


def test_cache_never_disables_the_cache(machine: Machine) -> None:
    machine.run()
    machine.mode = "never"
    assert machine.run().startswith("created")


@pytest.mark.parametrize(
    "other",
    [
        replace(FAKE_TYPE, environment={"OTHER": "1"}),
        replace(FAKE_TYPE, image="fake:2"),
        replace(FAKE_TYPE, command=("sh", "-c", f"true; {INITIALISE}")),
    ],
    ids=["environment", "image", "command"],
)
def test_changed_request_is_a_cache_miss(machine: Machine, other: DatabaseType) -> None:
    machine.run()
    assert machine.run(other).startswith("created")
    assert machine.run(other).startswith("restored")
    assert len(machine.images()) == 2


def test_changed_init_script_is_a_cache_miss(machine: Machine, tmp_path: Path) -> None:
    script = tmp_path / "fill.sql"
    database_type = replace(FAKE_TYPE, init_scripts=(script,))
    script.write_text("one")
    machine.run(database_type)
    script.write_text("two")
    assert machine.run(database_type).startswith("created")


def test_init_script_changed_before_the_build_prevents_caching(
    machine: Machine, tmp_path: Path
) -> None:
    script = tmp_path / "fill.sql"
    script.write_text("one")
    cache = machine.cache()
    machine.obtain(cache, replace(FAKE_TYPE, init_scripts=(script,)))
    script.write_text("two")
    machine.remembering(cache).build()
    assert machine.images() == set()


def test_cache_is_per_user(machine: Machine) -> None:
    machine.run()
    theirs = replace(
        machine, identity=UserIdentity(bytes(31) + b"1"), directory=machine.directory / "theirs"
    )
    assert theirs.run().startswith("created")
    assert machine.known().isdisjoint(theirs.known())
    assert machine.run().startswith("restored"), "the other user removed this user's image"


def test_unrecorded_image_is_not_used_and_removed(machine: Machine) -> None:
    machine.run()
    machine.files()[0].unlink()
    (before,) = machine.images()
    assert machine.run().startswith("created")
    assert before not in machine.images()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": "x"}', '{"image": 1, "other": 2}'])
def test_unreadable_record_is_ignored(machine: Machine, text: str) -> None:
    machine.run()
    machine.files()[0].write_text(text)
    assert machine.run().startswith("created")
    assert machine.run().startswith("restored")


def test_missing_image_is_rebuilt(machine: Machine) -> None:
    machine.run()
    (image,) = machine.images()
    machine.fake.remove_image(image)
    assert machine.run().startswith("created")
    assert machine.run().startswith("restored")


def test_damaged_cache_is_not_used_again(machine: Machine) -> None:
    fragile = replace(
        FAKE_TYPE, command=("sh", "-c", f"[ ! -e data/damage ] || exit 3; {INITIALISE}")
    )
    machine.run(fragile)
    (image,) = machine.images()
    (machine.fake._image_path(image) / "root/data/damage").touch()
    assert machine.run(fragile).startswith("created")
    assert image not in machine.images()
    assert machine.run(fragile).startswith("restored")


def test_unrelated_failure_is_raised(machine: Machine) -> None:
    broken = machine.directory / "broken"
    database_type = replace(
        FAKE_TYPE, command=("sh", "-c", f"[ ! -e {broken} ] || exit 3; {INITIALISE}")
    )
    machine.run(database_type)
    broken.touch()
    with pytest.raises(InstanceDied):
        machine.run(database_type)


@pytest.mark.parametrize(
    "script",
    [
        "trap 'exit 1' TERM; redis-server & wait",
        "[ -e data/initialised ] && exit 1; " + INITIALISE,
    ],
    ids=["does not stop cleanly", "does not start again"],
)
def test_failed_build_is_not_retried_every_run(machine: Machine, script: str) -> None:
    database_type = replace(FAKE_TYPE, command=("sh", "-c", script))
    cache = machine.cache()
    machine.obtain(cache, database_type)
    machine.remembering(cache).build()
    assert machine.images() == set()
    (told,) = [cached for cached, _ in cache.known()]
    assert told.failure
    again = machine.cache()
    machine.obtain(again, database_type)
    assert not again.wanted
    age(machine.files()[0], DAY_S + 60)
    machine.remembering(machine.cache()).build()
    machine.obtain(again, database_type)
    assert again.wanted


def test_cache_is_requested_during_start_and_dropped_on_failure(
    machine: Machine, tmp_path: Path
) -> None:
    gate, cache = tmp_path / "gate", machine.cache()
    script = f"until [ -e {gate} ]; do sleep 0.05; done; exit 3"
    database_type = replace(FAKE_TYPE, command=("sh", "-c", script))
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(machine.obtain, cache, database_type)
        wait_until(lambda: bool(cache.wanted), 10.0, "no cached image is requested")
        gate.touch()
    assert isinstance(work.exception(), InstanceDied)
    assert cache.wanted == []


def test_unused_cache_is_removed(machine: Machine) -> None:
    machine.run()
    age(machine.files()[0], UNUSED_S - 60)
    machine.remembering(machine.cache()).build()
    assert len(machine.images()) == 1
    age(machine.files()[0], UNUSED_S + 60)
    machine.remembering(machine.cache()).build()
    assert machine.images() == set()
    assert machine.files() == []


def test_recently_used_cache_is_kept(machine: Machine) -> None:
    machine.run()
    age(machine.files()[0], UNUSED_S + 60)
    assert machine.run().startswith("restored")
    assert len(machine.images()) == 1


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_text("newer")])
def test_cache_is_removed_with_its_base_image(
    machine: Machine, change: Callable[[Path], Any]
) -> None:
    machine.run()
    change(machine.fake._image_path(FAKE_TYPE.image))
    machine.remembering(machine.cache()).build()
    assert machine.images() == set()


def test_number_of_cached_images_per_type_is_limited(machine: Machine) -> None:
    for number in range(MOST_OF_A_TYPE + 2):
        machine.run(replace(FAKE_TYPE, environment={"NUMBER": str(number)}))
        for file in machine.files():
            age(file, time.time() - file.stat().st_mtime + 60)
    assert len(machine.images()) == MOST_OF_A_TYPE
    assert machine.run(replace(FAKE_TYPE, environment={"NUMBER": str(number)})).startswith(
        "restored"
    )


def test_cleanup_runs_once_a_day(machine: Machine) -> None:
    cache = machine.cache()
    assert not cache.need_work(), "no image was ever cached"
    machine.run()
    assert cache.need_work()
    assert not cache.need_work()
    age(machine.directory / "cache/looked", DAY_S + 60)
    assert cache.need_work()


def test_cache_is_built_in_another_process(machine: Machine) -> None:
    cache = machine.cache()
    machine.obtain(cache)
    machine.remembering(cache).begin()
    wait_until(lambda: bool(machine.known()), 20.0, "there is no cached image")
    assert machine.run().startswith("restored")


def test_unserialisable_build_is_empty(machine: Machine) -> None:
    class Local(FakeEngine):
        """An engine that other processes cannot open."""

    machine.fake = Local(machine.fake.url)
    cache = machine.cache()
    machine.obtain(cache)
    assert machine.remembering(cache).to_bytes() == b""


def test_cache_builder_can_be_killed(machine: Machine) -> None:
    slow = replace(FAKE_TYPE, command=("sh", "-c", "sleep 20"))
    cache = machine.cache()
    cache.want(machine.server(slow))
    order = machine.remembering(cache).to_bytes()
    program = (
        "import sys; from pytest_ldb.lifecycle.cache_builder import CacheBuilder; "
        "CacheBuilder.from_bytes(sys.stdin.buffer.read()).build()"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE)
    assert process.stdin
    with process.stdin as pipe:
        pipe.write(order)
    made = {"pytest-ldb.cached": ""}
    wait_until(lambda: bool(machine.fake.containers(made)), 20.0, "the build has not started")
    process.kill()
    process.wait()
    wait_until(
        lambda: not machine.fake.containers(made), 20.0, "the builder's container still exists"
    )
    assert machine.known() == set()


def test_server_cache_can_be_pickled(machine: Machine) -> None:
    cache = machine.cache()
    machine.obtain(cache)
    again = pickle.loads(pickle.dumps(cache))
    (server,) = again.wanted
    assert again.key(server.request) == cache.key(server.request)
    assert isinstance(again.read("absent"), CachedServer | None)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (InstanceDied("x", "died", status=1), True),
        (InstanceDied("x", "died", status=139), True),
        (InstanceDied("x", "killed", status=137), False),
        (InstanceDied("x", "ended", status=143), False),
        (InstanceDied("x", "removed", status=255), False),
        (InstanceDied("x", "removed"), False),
        (OutOfMemory("x", "its own limit", status=137), True),
        (DiskFull("x", "full", status=1), False),
        (NotReady("x", "slow"), True),
        (EngineFailed("x", "no commit"), True),
        (EngineUnavailable("x", "gone"), False),
        (ImageUnavailable("x", "removed"), False),
        (ConnectionResetError("gone"), False),
    ],
)
def test_only_an_end_of_its_own_is_a_verdict(error: Exception, verdict: bool) -> None:
    assert is_verdict(error) == verdict


def test_killed_build_is_tried_again_by_the_next_run(machine: Machine) -> None:
    marker = machine.directory / "killed"
    script = f"[ -e {marker} ] || {{ touch {marker}; kill -KILL $$; }}; {INITIALISE}"
    database_type = replace(FAKE_TYPE, command=("sh", "-c", script))
    cache = machine.cache()
    cache.want(machine.server(database_type))
    machine.remembering(cache).build()
    assert machine.images() == set()
    again = machine.cache()
    lease = machine.obtain(again, database_type)
    assert "could not be cached: " in lease.not_cached
    assert lease.not_cached.endswith("(the next run tries again)")
    machine.remembering(again).build()
    machine.end()
    assert machine.run(database_type).startswith("restored")


def test_created_server_says_why_it_was_not_restored(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reason(database_type: DatabaseType = FAKE_TYPE, **changes: Any) -> str:
        cache = machine.cache()
        lease = machine.obtain(cache, database_type, **changes)
        machine.remembering(cache).build()
        machine.end()
        wait_until(lambda: not machine.fake.containers({}), 5.0, "the server is still there")
        return lease.not_cached

    monkeypatch.setenv("CI", "true")
    assert reason() == "CI is set; --ldb-cache=always caches servers nevertheless"
    monkeypatch.delenv("CI")
    assert reason() == "no copy of it is cached yet"
    assert reason() == ""
    (image,) = machine.images()
    machine.fake.remove_image(image)
    assert reason().startswith("its cached copy was of no use: ")
    assert reason(replace(FAKE_TYPE, server=FAKE.server)) == ""
    assert reason(durable=True) == ""
    broken = replace(FAKE_TYPE, command=("sh", "-c", "trap 'exit 1' TERM; redis-server & wait"))
    reason(broken)
    assert reason(broken).endswith("exit code 1) (it is tried again after a day)")
    machine.mode = "never"
    assert reason() == ""


@pytest.mark.parametrize("mode", ["auto", "always"])
def test_cache_that_goes_with_its_container_is_not_filled(machine: Machine, mode: str) -> None:
    machine.mode = mode
    cache = replace(machine.cache(), is_discarded=lambda: True)
    cache.want(machine.server())
    assert not cache.wanted
    assert "goes with this container" in cache.why_not(machine.server())
    assert machine.remembering(cache).to_bytes(), "it is not sent to the builder"


def test_builder_and_guard_can_be_killed_together(machine: Machine) -> None:
    slow = replace(FAKE_TYPE, command=("sh", "-c", "sleep 20"))
    cache = machine.cache()
    cache.want(machine.server(slow))
    program = """
import os, signal, sys, time
from threading import Timer
from pytest_ldb.engines.docker import guard
from pytest_ldb.lifecycle.cache_builder import CacheBuilder
started, guards = guard.detached, []
guard.detached = lambda *a, **k: guards.append(started(*a, **k)) or guards[-1]
builder = CacheBuilder.from_bytes(sys.stdin.buffer.read())
holding = builder.engine.shell
def shell(*a, **k):
    opened = holding(*a, **k)
    os.kill(guards[0].pid, signal.SIGKILL)
    print("held", flush=True)
    return opened
type(builder.engine).shell = staticmethod(shell)
builder.build()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(machine.remembering(cache).to_bytes())
        process.stdin.close()
        assert process.stdout.readline() == b"held\n"
        assert machine.fake.containers({"pytest-ldb.cached": ""})
        process.kill()
    wait_until(lambda: not machine.fake.containers({}), 20.0, "the container still exists")


def test_next_builder_removes_what_a_killed_one_has_created(machine: Machine) -> None:
    spec = machine.server().spec
    labels = {"pytest-ldb.user": ME.mark, "pytest-ldb.cached": "key"}
    for name, whose in (("ldb-cache-key", labels), ("mine", labels), ("ldb-cache-theirs", {})):
        machine.fake.create(replace(spec, name=name, labels=whose))
    machine.remembering(machine.cache()).build()
    left = {container.name for container in machine.fake.containers({})}
    assert left == {"mine", "ldb-cache-theirs"}
