"""The tests that every engine must pass."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from ..databases import REDIS
from ..engines.protocol import Container, Engine, Exit, File
from ..lifecycle.readiness import ask
from ..model.errors import EngineFailed, ImageUnavailable, NameTaken
from ..model.instance import Address, InstanceStatus
from ..model.request import LABEL
from .clients import ClientContract
from .containers import BATCH, ENDS_S, Containers
from .executions import ExecutionContract
from .images import ImageContract
from .logs import LogContract
from .processes import guarding, holding, wait_until
from .shells import ShellContract
from .volumes import VolumeContract

SHARED = {f"{LABEL}shared": "true", f"{LABEL}kept": "false"}
GUARDED_S = 2.0
"""A guard acts in less time than this."""

UNREACHABLE = "localhost:1/ldb/absent:1"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - only during a test


class EngineContract(
    ShellContract, ClientContract, ImageContract, LogContract, VolumeContract, ExecutionContract
):
    """Tests that every :class:`~pytest_ldb.engines.protocol.Engine` must pass.

    A test class for a custom engine::

        class TestMyEngine(EngineContract):
            @pytest.fixture(scope="class")
            @classmethod
            def make_engine(cls):
                return MyEngine  # other processes call it too, so it must be picklable

            def pause(self, engine, container):
                ...  # not part of the engine protocol, as pytest-ldb never pauses containers

    Attributes:
        image: The reference of a Redis image.
        root: Prefix of a container's absolute paths in its shells; empty for real containers.
        terminals: Whether commands in containers can have a terminal.
    """

    image = REDIS.image
    root = ""

    @pytest.fixture(scope="class")
    @classmethod
    def make_engine(cls) -> Callable[[], Engine]:
        """Return a picklable callable that creates the engine."""
        raise NotImplementedError

    def pause(self, engine: Any, container: str) -> None:
        """Pause a container."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def containers(cls, make_engine: Callable[[], Engine]) -> Iterator[Containers]:
        """Creates containers of the image."""
        made = Containers(make_engine(), cls.image)
        yield made
        made.close()

    @pytest.fixture
    def engine(self, containers: Containers) -> Engine:
        """The engine under test."""
        return containers.engine

    def test_image_id_is_stable(self, engine: Engine) -> None:
        once = engine.image(self.image, pull="missing", say=print)
        again = engine.image(self.image, pull="never", say=print)
        assert once == again

    @pytest.mark.parametrize("pull", ["never", "missing", "always"])
    def test_missing_image_is_unavailable(self, engine: Engine, pull: str) -> None:
        with pytest.raises(ImageUnavailable) as caught:
            engine.image(UNREACHABLE, pull=pull, say=print)
        assert UNREACHABLE in str(caught.value)

    def test_created_container_is_not_started(self, containers: Containers) -> None:
        spec = containers.spec(labels={"some": "label"})
        identity = containers.engine.create(spec)
        found = containers.existing(identity)
        image = containers.engine.image(self.image, pull="never", say=print)
        assert (found.id, found.name, found.state) == (identity, spec.name, "created")
        assert (found.exit_code, found.address, found.image_id) == (None, None, image.id)
        assert spec.labels.items() <= found.labels.items()
        assert _status(found) is InstanceStatus.CREATING

    def test_running_container_answers_on_its_address(self, containers: Containers) -> None:
        found = containers.serve()
        assert found.address is not None
        assert REDIS.ready.proves(ask(found.address, REDIS.ready))
        assert _status(found) is InstanceStatus.RUNNING

    @pytest.mark.skipif(
        sys.platform != "linux", reason="127.0.0.2 is a loopback address only on Linux"
    )
    @pytest.mark.parametrize(
        ("bind", "others"),
        [("127.0.0.1", ["127.0.0.2"]), ("127.0.0.2", ["127.0.0.1"]), (EVERYWHERE, [])],
    )
    def test_port_is_published_on_the_bind_address_only(
        self, containers: Containers, bind: str, others: list[str]
    ) -> None:
        address = containers.serve(bind=bind).address
        assert address is not None
        reachable = [
            host
            for host in ("127.0.0.1", "127.0.0.2")
            if REDIS.ready.proves(ask(Address(host, address.port), REDIS.ready))
        ]
        assert address.host in reachable
        assert not set(others) & set(reachable)

    def test_container_is_found_by_exact_name_or_id(self, containers: Containers) -> None:
        spec = containers.spec()
        identity = containers.engine.create(spec)
        found = containers.existing(identity)
        assert containers.engine.find(spec.name) == found
        assert containers.engine.find(spec.name[:-1]) is None
        assert containers.engine.find(f"{spec.name}x") is None

    def test_containers_are_found_by_all_their_labels(self, containers: Containers) -> None:
        one = containers.create(labels={"colour": "red", "size": "one"})
        other = containers.create(labels={"colour": "reddish", "size": "one"})

        def found(**labels: str) -> set[str]:
            wanted = {BATCH: containers.batch, **labels}
            return {container.id for container in containers.engine.containers(wanted)}

        assert found(size="one") == {one, other}
        assert found(size="one", colour="red") == {one}
        assert found(colour="") == {one, other}
        assert found(colour="re") == found(colour="red", size="two") == found(shape="") == set()

    def test_concurrent_creation_gives_a_name_to_one_container(
        self, containers: Containers, make_engine: Callable[[], Engine]
    ) -> None:
        spec = containers.spec()

        def create(engine: Engine) -> str:
            try:
                return engine.create(spec)
            except NameTaken:
                return ""

        engines = [make_engine() for _ in range(4)]
        with ThreadPoolExecutor(len(engines)) as pool:
            identities = list(filter(None, pool.map(create, engines)))
        assert [containers.existing(spec.name).id] == identities
        with pytest.raises(NameTaken, match=spec.name):
            containers.engine.create(spec)

    def test_every_operation_is_idempotent(self, containers: Containers) -> None:
        engine, name = containers.engine, containers.serve().name
        engine.start(name).close()
        engine.unpause(name)
        assert containers.existing(name).state == "running"
        engine.stop(name)
        engine.stop(name)
        assert containers.existing(name).state == "exited"
        engine.remove(name)
        engine.remove(name)
        engine.stop(name)
        assert engine.find(name) is None

    def test_missing_container_is_an_error(self, engine: Engine) -> None:
        for verb in (engine.start, engine.watch, engine.log, engine.unpause):
            with pytest.raises(EngineFailed):
                verb("ldb-contract-absent")

    def test_stopped_container_can_be_restarted(self, containers: Containers) -> None:
        identity = containers.serve().id
        containers.engine.stop(identity)
        stopped = containers.existing(identity)
        assert (stopped.state, stopped.exit_code, stopped.address) == ("exited", 0, None)
        assert _status(stopped) is InstanceStatus.STOPPED
        containers.wait_for(identity, containers.engine.start(identity))
        assert containers.existing(identity).state == "running"

    def test_paused_container_is_resumed(self, containers: Containers) -> None:
        found = containers.serve()
        self.pause(containers.engine, found.id)
        paused = containers.existing(found.id)
        assert paused.state == "paused"
        assert _status(paused) is InstanceStatus.STOPPED
        containers.engine.unpause(found.id)
        running = containers.existing(found.id)
        assert running == found
        assert running.address is not None
        assert REDIS.ready.proves(ask(running.address, REDIS.ready))

    @pytest.mark.parametrize("auto_remove", [True, False])
    def test_exited_container_reports_the_cause(
        self, containers: Containers, auto_remove: bool
    ) -> None:
        script = "echo out of luck; echo really >&2; exit 3"
        identity, watch = containers.run(script, auto_remove=auto_remove)
        assert watch.ended(ENDS_S) == Exit(code=3, out_of_memory=False)
        assert set(watch.log(10).splitlines()) == {"out of luck", "really"}
        watch.close()
        if auto_remove:
            containers.wait_until_gone(identity)
        else:
            dead = containers.existing(identity)
            assert (dead.state, dead.exit_code, dead.address) == ("exited", 3, None)
            assert _status(dead) is InstanceStatus.ERROR

    def test_log_tail_returns_the_last_lines(self, containers: Containers) -> None:
        script = "for n in 1 2 3 4 5; do echo line $n; done; printf 'no newline'"
        _, watch = containers.run(script)
        assert watch.ended(ENDS_S) == Exit(code=0, out_of_memory=False)
        assert watch.log(3).splitlines() == ["line 4", "line 5", "no newline"]
        watch.close()

    def test_late_watch_sees_the_log_from_the_start(self, containers: Containers) -> None:
        identity, first = containers.run("echo early; exec sleep 60")
        wait_until(lambda: "early" in first.log(10), ENDS_S, "nothing in the log")
        later = containers.engine.watch(identity)
        wait_until(lambda: "early" in later.log(10), ENDS_S, "nothing in the log")
        assert first.ended(0.0) is later.ended(0.0) is None
        containers.engine.remove(identity)
        assert first.ended(ENDS_S) == later.ended(ENDS_S) == Exit(code=137, out_of_memory=False)
        first.close()
        later.close()

    def test_missing_command_does_not_start(self, containers: Containers) -> None:
        identity = containers.create(command=("/ldb-contract/absent",))
        try:
            watch = containers.engine.start(identity)
        except EngineFailed as error:
            said = str(error)
        else:  # The entrypoint of the image ran, and failed to run the command.
            assert watch.ended(ENDS_S) == Exit(code=127, out_of_memory=False)
            said = watch.log(10)
            watch.close()
        assert "/ldb-contract/absent" in said

    def test_environment_and_files_exist_at_startup(self, containers: Containers) -> None:
        path = "/ldb-contract/deep/file with spaces"
        _, watch = containers.run(
            'echo "$WORD"; cat "$WHERE"; "$WHERE" | tail -n 1',
            environment={"WORD": "it's {a} $word", "WHERE": f"{self.root}{path}"},
            files={path: File(b"#!/bin/sh\necho executed\n", executable=True)},
        )
        assert watch.ended(ENDS_S) is not None
        lines = ["it's {a} $word", "#!/bin/sh", "echo executed", "executed"]
        assert watch.log(10).splitlines() == lines
        watch.close()

    def test_released_guard_removes_nothing(self, containers: Containers) -> None:
        spec = containers.spec()
        guard = containers.engine.guard(spec.labels[f"{LABEL}id"])
        identity = containers.engine.create(spec)
        guard.release()
        assert containers.existing(spec.name).id == identity

    @pytest.mark.parametrize("state", ["absent", "created", "running", "exited"])
    def test_guard_removes_containers_of_a_killed_process(
        self, containers: Containers, make_engine: Callable[[], Engine], state: str
    ) -> None:
        spec, engine = containers.spec(), containers.engine
        process = guarding(make_engine, spec.labels[f"{LABEL}id"])
        if state == "absent":  # The process is killed before the engine has created the container.
            process.kill()
        engine.create(spec)
        if state in ("running", "exited"):
            engine.start(spec.name).close()
        if state == "exited":
            engine.stop(spec.name)
        process.kill()
        containers.wait_until_gone(spec.name)

    def test_guard_spares_containers_of_other_processes(
        self, containers: Containers, make_engine: Callable[[], Engine]
    ) -> None:
        """Two processes create the same server; the names are equal, the ids are not."""
        ours, theirs = containers.spec(), containers.spec(labels=SHARED, auto_remove=True)
        guarding(make_engine, ours.labels[f"{LABEL}id"]).kill()
        containers.engine.create(replace(theirs, name=ours.name))
        watch = containers.engine.start(ours.name)
        assert watch.ended(GUARDED_S) is None
        watch.close()

    def test_guard_spares_a_shared_server_in_use(
        self, containers: Containers, make_engine: Callable[[], Engine]
    ) -> None:
        spec = containers.spec(labels=SHARED, auto_remove=True)
        process = guarding(make_engine, spec.labels[f"{LABEL}id"])
        containers.engine.create(spec)
        watch = containers.engine.start(spec.name)
        user = holding(make_engine, spec.name)
        process.kill()
        assert watch.ended(GUARDED_S) is None
        user.kill()
        containers.wait_until_gone(spec.name)
        watch.close()

    def test_guard_removes_an_unused_shared_server(
        self, containers: Containers, make_engine: Callable[[], Engine]
    ) -> None:
        spec = containers.spec(labels=SHARED, auto_remove=True)
        process = guarding(make_engine, spec.labels[f"{LABEL}id"])
        containers.engine.create(spec)
        containers.engine.start(spec.name).close()
        process.kill()
        containers.wait_until_gone(spec.name)


def _status(container: Container) -> InstanceStatus:
    return InstanceStatus.of(container.state, container.exit_code)
