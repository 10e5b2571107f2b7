"""Servers that are made from what was initialised before, on the fake engine."""

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
from pytest_ldb.lifecycle.cache_builder import CacheBuilder, begin
from pytest_ldb.lifecycle.cache_expiry import MOST_OF_A_TYPE, UNUSED_S
from pytest_ldb.lifecycle.lease import Lease
from pytest_ldb.lifecycle.planner import ResolvedServer, resolved
from pytest_ldb.lifecycle.shared import SharedServers
from pytest_ldb.model.credentials import UserIdentity
from pytest_ldb.model.database_type import DatabaseType
from pytest_ldb.model.errors import InstanceDied
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
KIND = replace(
    FAKE,
    command=("sh", "-c", INITIALISE),
    server=replace(FAKE.server, cached=True, init_directory="/init"),
)


@dataclass
class Machine:
    """A user's machine, on which runs come and go."""

    fake: FakeEngine
    directory: Path
    mode: str = "auto"
    identity: UserIdentity = ME
    leases: list[Lease] = field(default_factory=list)

    def cache(self) -> ServerCache:
        return ServerCache(self.directory / "cache", self.identity.mark, self.fake.url, self.mode)

    def request(self, kind: DatabaseType = KIND, **changes: Any) -> CreateInstanceRequest:
        image = self.image(kind)
        scope = Scope(project="shop-12345678", run=f"{time.monotonic_ns() % 2**32:08x}")
        return CreateInstanceRequest(
            database_type=kind, image=kind.image, image_id=image.id, scope=scope, **changes
        )

    def server(self, kind: DatabaseType = KIND, **changes: Any) -> ResolvedServer:
        return resolved(self.request(kind, **changes), self.image(kind), self.identity)

    def image(self, kind: DatabaseType = KIND) -> Image:
        return self.fake.image(kind.image, pull="missing", say=print)

    def run(self, kind: DatabaseType = KIND, **changes: Any) -> str:
        """Start a server as a run does, end it, and do what is to be done after the run.

        Returns how the server came, and what its data was.
        """
        cache = self.cache()
        lease = self.obtain(cache, kind, **changes)
        data = lease.shell.run(("cat", "data/initialised")).strip()
        self.remembering(cache).build()
        self.end()
        return f"{lease.origin} {data}"

    def obtain(self, cache: ServerCache, kind: DatabaseType = KIND, **changes: Any) -> Lease:
        sharing = SharedServers(
            engine=self.fake,
            cache=cache,
            directory=self.directory / "locks",
            timeout_s=10.0,
            recreate=False,
            say=print,
        )
        lease = sharing.obtain(self.server(kind, **changes))
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


def test_the_second_server_has_the_data_of_the_first_cached(machine: Machine) -> None:
    first, *others = [machine.run().split() for _ in range(3)]
    assert first[0] == "created"
    assert [other[0] for other in others] == ["restored", "restored"]
    assert others[0] == others[1]
    assert first[1] != others[0][1], "the cached was made of a server that somebody used"
    assert machine.images() == machine.known()
    assert not [c for c in machine.fake.containers({}) if c.name.startswith("ldb-cached")]


def test_a_kept_server_and_one_for_the_run_share_a_cached(machine: Machine) -> None:
    machine.run()
    assert machine.run(kept=True).startswith("restored")


@pytest.mark.parametrize(
    ("kind", "changes"),
    [(replace(KIND, server=FAKE.server), {}), (KIND, {"durable": True}), (KIND, {"shared": False})],
    ids=["undeclared", "durable", "private"],
)
def test_what_cannot_be_remembered_works_as_before(
    machine: Machine, kind: DatabaseType, changes: dict[str, Any]
) -> None:
    server = machine.server(kind, **changes)
    cache = machine.cache()
    cache.want(server)
    assert not cache.wanted
    assert cache.find(server.request) is None


def test_an_image_that_does_not_say_where_its_data_is_is_not_remembered(machine: Machine) -> None:
    cache = machine.cache()
    image = replace(machine.image(), volumes=())
    cache.want(resolved(machine.request(), image, ME))
    assert not cache.wanted


@pytest.mark.parametrize(
    ("mode", "ci", "made"), [("auto", True, 0), ("always", True, 1), ("never", False, 0)]
)
@pytest.mark.parametrize("variable", CI)
def test_none_is_made_on_ci_unless_that_was_asked_for(
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


def test_on_ci_one_that_is_there_is_used(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.run()
    monkeypatch.setenv("CI", "true")
    assert machine.run().startswith("restored")


def test_never_means_that_none_is_used(machine: Machine) -> None:
    machine.run()
    machine.mode = "never"
    assert machine.run().startswith("created")


@pytest.mark.parametrize(
    "other",
    [
        replace(KIND, environment={"OTHER": "1"}),
        replace(KIND, image="fake:2"),
        replace(KIND, command=("sh", "-c", f"true; {INITIALISE}")),
    ],
    ids=["environment", "image", "command"],
)
def test_another_request_needs_another_one(machine: Machine, other: DatabaseType) -> None:
    machine.run()
    assert machine.run(other).startswith("created")
    assert machine.run(other).startswith("restored")
    assert len(machine.images()) == 2


def test_an_init_script_that_changed_is_run(machine: Machine, tmp_path: Path) -> None:
    script = tmp_path / "fill.sql"
    kind = replace(KIND, init_scripts=(script,))
    script.write_text("one")
    machine.run(kind)
    script.write_text("two")
    assert machine.run(kind).startswith("created")


def test_an_init_script_that_changes_meanwhile_makes_no_cached(
    machine: Machine, tmp_path: Path
) -> None:
    script = tmp_path / "fill.sql"
    script.write_text("one")
    cache = machine.cache()
    machine.obtain(cache, replace(KIND, init_scripts=(script,)))
    script.write_text("two")
    machine.remembering(cache).build()
    assert machine.images() == set()


def test_another_user_has_others(machine: Machine) -> None:
    machine.run()
    theirs = replace(
        machine, identity=UserIdentity(bytes(31) + b"1"), directory=machine.directory / "theirs"
    )
    assert theirs.run().startswith("created")
    assert machine.known().isdisjoint(theirs.known())
    assert machine.run().startswith("restored"), "they removed ours"


def test_an_image_that_nobody_wrote_down_is_not_used_and_goes(machine: Machine) -> None:
    machine.run()
    machine.files()[0].unlink()
    (before,) = machine.images()
    assert machine.run().startswith("created")
    assert before not in machine.images()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": "x"}', '{"image": 1, "other": 2}'])
def test_a_file_that_cannot_be_read_is_no_cached(machine: Machine, text: str) -> None:
    machine.run()
    machine.files()[0].write_text(text)
    assert machine.run().startswith("created")
    assert machine.run().startswith("restored")


def test_an_image_that_is_gone_is_made_again(machine: Machine) -> None:
    machine.run()
    (image,) = machine.images()
    machine.fake.remove_image(image)
    assert machine.run().startswith("created")
    assert machine.run().startswith("restored")


def test_one_that_is_damaged_is_not_used_again(machine: Machine) -> None:
    fragile = replace(KIND, command=("sh", "-c", f"[ ! -e data/damage ] || exit 3; {INITIALISE}"))
    machine.run(fragile)
    (image,) = machine.images()
    (machine.fake._image_path(image) / "root/data/damage").touch()
    assert machine.run(fragile).startswith("created")
    assert image not in machine.images()
    assert machine.run(fragile).startswith("restored")


def test_a_failure_that_has_another_reason_is_told(machine: Machine) -> None:
    broken = machine.directory / "broken"
    kind = replace(KIND, command=("sh", "-c", f"[ ! -e {broken} ] || exit 3; {INITIALISE}"))
    machine.run(kind)
    broken.touch()
    with pytest.raises(InstanceDied):
        machine.run(kind)


@pytest.mark.parametrize(
    "script",
    [
        "trap 'exit 1' TERM; redis-server & wait",
        "[ -e data/initialised ] && exit 1; " + INITIALISE,
    ],
    ids=["does not stop cleanly", "does not start again"],
)
def test_a_server_that_cannot_be_remembered_is_not_tried_every_time(
    machine: Machine, script: str
) -> None:
    kind = replace(KIND, command=("sh", "-c", script))
    cache = machine.cache()
    machine.obtain(cache, kind)
    machine.remembering(cache).build()
    assert machine.images() == set()
    (told,) = [cached for cached, _ in cache.known()]
    assert told.failure
    again = machine.cache()
    machine.obtain(again, kind)
    assert not again.wanted
    age(machine.files()[0], DAY_S + 60)
    machine.remembering(machine.cache()).build()
    machine.obtain(again, kind)
    assert again.wanted


def test_one_is_wanted_before_the_server_is_ready_and_not_if_it_fails(
    machine: Machine, tmp_path: Path
) -> None:
    gate, cache = tmp_path / "gate", machine.cache()
    script = f"until [ -e {gate} ]; do sleep 0.05; done; exit 3"
    kind = replace(KIND, command=("sh", "-c", script))
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(machine.obtain, cache, kind)
        wait_until(lambda: bool(cache.wanted), 10.0, "none is wanted")
        gate.touch()
    assert isinstance(work.exception(), InstanceDied)
    assert cache.wanted == []


def test_what_nobody_used_for_long_is_removed(machine: Machine) -> None:
    machine.run()
    age(machine.files()[0], UNUSED_S - 60)
    machine.remembering(machine.cache()).build()
    assert len(machine.images()) == 1
    age(machine.files()[0], UNUSED_S + 60)
    machine.remembering(machine.cache()).build()
    assert machine.images() == set()
    assert machine.files() == []


def test_being_used_counts(machine: Machine) -> None:
    machine.run()
    age(machine.files()[0], UNUSED_S + 60)
    assert machine.run().startswith("restored")
    assert len(machine.images()) == 1


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_text("newer")])
def test_it_goes_with_its_base(machine: Machine, change: Callable[[Path], Any]) -> None:
    machine.run()
    change(machine.fake._image_path(KIND.image))
    machine.remembering(machine.cache()).build()
    assert machine.images() == set()


def test_there_are_never_many_of_a_type(machine: Machine) -> None:
    for number in range(MOST_OF_A_TYPE + 2):
        machine.run(replace(KIND, environment={"NUMBER": str(number)}))
        for file in machine.files():
            age(file, time.time() - file.stat().st_mtime + 60)
    assert len(machine.images()) == MOST_OF_A_TYPE
    assert machine.run(replace(KIND, environment={"NUMBER": str(number)})).startswith("restored")


def test_old_ones_are_looked_for_once_a_day(machine: Machine) -> None:
    cache = machine.cache()
    assert not cache.need_work(), "there have never been any"
    machine.run()
    assert cache.need_work()
    assert not cache.need_work()
    age(machine.directory / "cache/looked", DAY_S + 60)
    assert cache.need_work()


def test_another_process_carries_it_out(machine: Machine) -> None:
    cache = machine.cache()
    machine.obtain(cache)
    begin(machine.remembering(cache).to_bytes())
    wait_until(lambda: bool(machine.known()), 20.0, "there is no cached")
    assert machine.run().startswith("restored")


def test_an_order_that_cannot_be_sent_is_none(machine: Machine) -> None:
    class Local(FakeEngine):
        """Not to be found by another process."""

    machine.fake = Local(machine.fake.url)
    cache = machine.cache()
    machine.obtain(cache)
    assert machine.remembering(cache).to_bytes() == b""


def test_whoever_makes_it_may_be_killed(machine: Machine) -> None:
    slow = replace(KIND, command=("sh", "-c", "sleep 20"))
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
    wait_until(lambda: bool(machine.fake.containers(made)), 20.0, "it has not begun")
    process.kill()
    process.wait()
    wait_until(lambda: not machine.fake.containers(made), 20.0, "its container is still there")
    assert machine.known() == set()


def test_what_is_known_can_be_sent(machine: Machine) -> None:
    cache = machine.cache()
    machine.obtain(cache)
    again = pickle.loads(pickle.dumps(cache))
    (server,) = again.wanted
    assert again.key(server.request) == cache.key(server.request)
    assert isinstance(again.read("absent"), CachedServer | None)
