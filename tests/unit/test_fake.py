"""The fake engine beyond the contract of all engines."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from pytest_ldb.engines.protocol import ContainerSpec
from pytest_ldb.model.errors import EngineFailed, NameTaken, ShellLost
from pytest_ldb.testing.containers import Containers
from pytest_ldb.testing.fake.engine import FakeEngine
from pytest_ldb.testing.processes import wait_until

pytestmark = pytest.mark.process


def processes(directory: Path) -> list[int]:
    """Return the processes that refer to a directory."""
    listed = subprocess.check_output(["ps", "-ewwo", "pid=,args="], text=True)
    found = [line.split(maxsplit=1) for line in listed.splitlines()]
    return [int(pid) for pid, arguments in found if str(directory) in arguments]


@pytest.fixture
def containers(fake: FakeEngine) -> Containers:
    return Containers(fake, "fake:1")


def spec(containers: Containers, **changes: object) -> ContainerSpec:
    return containers.spec(name="ldb-one", **changes)


def test_processes_can_share_a_directory(containers: Containers, tmp_path: Path) -> None:
    def use(engine: FakeEngine) -> int:
        created = 0
        for _ in range(8):
            try:
                identity = engine.create(spec(containers, auto_remove=True))
                created += 1
                engine.start(identity).close()
                engine.shell(identity, environment={}, ephemeral=False).close()
            except (NameTaken, EngineFailed, ShellLost):
                pass
            engine.stop("ldb-one")
            engine.remove("ldb-one")
        return created

    engines = [FakeEngine(tmp_path / "fake") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        created = sum(pool.map(use, engines))
    assert created >= 8
    assert containers.engine.containers({}) == []
    assert list((tmp_path / "fake" / "removed").iterdir()) == []
    wait_until(lambda: not processes(tmp_path), 2.0, "processes are left")


def test_removed_container_leaves_nothing(containers: Containers, tmp_path: Path) -> None:
    identity = containers.create()
    assert [path.name for path in (tmp_path / "fake" / "containers").iterdir()]
    containers.engine.start(identity).close()
    assert processes(tmp_path)
    shell = containers.engine.shell(identity, environment={}, ephemeral=False)
    containers.engine.remove(identity)
    shell.close()
    assert list((tmp_path / "fake" / "containers").iterdir()) == []
    assert list((tmp_path / "fake" / "removed").iterdir()) == []
    wait_until(lambda: not processes(tmp_path), 2.0, "processes are left")


def test_container_outlives_the_starting_process(containers: Containers, tmp_path: Path) -> None:
    identity = containers.create()
    program = (
        "import sys; from pytest_ldb.testing.fake.engine import FakeEngine\n"
        "FakeEngine(sys.argv[1]).start(sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "fake", identity], check=True)
    assert containers.existing(identity).state == "running"


def test_killed_creator_frees_the_name(containers: Containers, tmp_path: Path) -> None:
    (tmp_path / "fake" / "removed" / "half-made" / "root").mkdir(parents=True)
    assert containers.engine.find("ldb-one") is None
    assert containers.engine.create(spec(containers))


def test_container_with_killed_supervisor_is_dead(containers: Containers, tmp_path: Path) -> None:
    identity, watch = containers.run("echo $$ >pid; exec sleep 60")
    pid = tmp_path / "fake" / "containers" / containers.existing(identity).name / "root" / "pid"
    wait_until(lambda: pid.exists() and pid.read_text() != "", 5.0, "the process did not start")
    (keeper,) = processes(tmp_path / "fake" / "containers")
    os.kill(keeper, signal.SIGKILL)
    wait_until(
        lambda: containers.existing(identity).state == "dead", 5.0, "the container is not dead"
    )
    os.kill(int(pid.read_text()), signal.SIGKILL)
    containers.engine.remove(identity)
    watch.close()


def test_fake_client_supports_keys(containers: Containers) -> None:
    shell = containers.engine.shell(containers.serve().id, environment={}, ephemeral=False)
    ask = partial(_ask, shell.run)
    assert ask("DBSIZE") == "0"
    shell.run(["mkdir", "-p", "db/3/a", "db/3/b"])
    assert ask("DBSIZE") == "2"
    assert ask("FLUSHDB") == "OK"
    assert ask("DBSIZE") == "0"
    shell.close()


def _ask(run: object, command: str) -> str:
    assert callable(run)
    output = run(["redis-cli", "-h", "localhost", "-p", "1", "-n", "3", command])
    return str(output).strip()


def test_pull_is_reported_once(fake: FakeEngine) -> None:
    said: list[str] = []
    for pull in ("missing", "missing", "never", "always"):
        fake.image("fake:9", pull=pull, say=said.append)
    assert said == ["pulling fake:9", "pulling fake:9"]


def test_moved_tag_is_another_image(fake: FakeEngine, tmp_path: Path) -> None:
    before = fake.image("fake:9", pull="missing", say=print)
    (tmp_path / "fake" / "images" / "fake%3A9").write_text("moved")
    after = fake.image("fake:9", pull="missing", say=print)
    assert before.id != after.id
    assert re.fullmatch("sha256:[0-9a-f]{64}", after.id)
