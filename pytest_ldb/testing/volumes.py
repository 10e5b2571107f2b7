"""Tests of volumes, and of ports that the caller chooses."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable, Iterator

import pytest

from ..databases import REDIS
from ..engines.protocol import Engine, Volume
from ..lifecycle.readiness import ask
from ..model.errors import EngineFailed, PortTaken
from ..model.request import LABEL
from .containers import BATCH, ENDS_S, Containers
from .processes import guarding, wait_until


class VolumeContract:
    """Tests of volumes and ports; a part of ``EngineContract``."""

    root: str

    @pytest.fixture
    def volume(self, containers: Containers) -> Iterator[str]:
        """The name of a volume that does not exist yet; it is removed after the test."""
        name = f"ldb-contract-{uuid.uuid4().hex[:12]}"
        yield name
        for container in containers.engine.containers({BATCH: containers.batch}):
            if name in container.volumes.values():
                containers.engine.remove(container.id)
        containers.engine.remove_volume(name)

    def test_volume_has_the_labels_of_its_container(
        self, containers: Containers, volume: str
    ) -> None:
        spec = containers.spec(volumes={"/data": volume}, labels={"colour": "red"})
        identity = containers.engine.create(spec)
        assert dict(containers.existing(identity).volumes) == {"/data": volume}
        (found,) = _volumes(containers.engine, volume)
        assert spec.labels.items() <= found.labels.items()
        wanted = {"colour": "red", BATCH: containers.batch}
        assert found in containers.engine.volumes(wanted)
        assert found in containers.engine.volumes({**wanted, "colour": ""})
        assert found not in containers.engine.volumes({**wanted, "colour": "re"})
        assert found not in containers.engine.volumes({**wanted, "shape": ""})

    def test_volume_keeps_data_and_labels_for_the_next_container(
        self, containers: Containers, volume: str
    ) -> None:
        self._write(containers, volume, "kept")
        (before,) = _volumes(containers.engine, volume)
        assert self._read(containers, volume) == "kept"
        assert _volumes(containers.engine, volume) == [before]

    def test_volume_of_a_stopped_container_is_not_removed(
        self, containers: Containers, volume: str
    ) -> None:
        identity = containers.create(volumes={"/data": volume})
        with pytest.raises(EngineFailed):
            containers.engine.remove_volume(volume)
        containers.engine.remove(identity)
        assert _volumes(containers.engine, volume)
        containers.engine.remove_volume(volume)
        containers.engine.remove_volume(volume)
        assert not _volumes(containers.engine, volume)

    @pytest.mark.parametrize("state", ["created", "running"])
    def test_guard_removes_the_volume_of_a_killed_process(
        self,
        containers: Containers,
        make_engine: Callable[[], Engine],
        volume: str,
        state: str,
    ) -> None:
        spec = containers.spec(volumes={"/data": volume})
        process = guarding(make_engine, spec.labels[f"{LABEL}id"])
        containers.engine.create(spec)
        if state == "running":
            containers.engine.start(spec.name).close()
        process.kill()
        containers.wait_until_gone(spec.name)
        _wait_until_gone(containers.engine, volume)

    def test_guard_removes_a_volume_without_container(
        self, containers: Containers, make_engine: Callable[[], Engine], volume: str
    ) -> None:
        """The process was killed after it removed the container, before it removed the volume."""
        spec = containers.spec(volumes={"/data": volume})
        process = guarding(make_engine, spec.labels[f"{LABEL}id"])
        containers.engine.remove(containers.engine.create(spec))
        process.kill()
        _wait_until_gone(containers.engine, volume)

    def test_guard_keeps_a_preexisting_volume(
        self, containers: Containers, make_engine: Callable[[], Engine], volume: str
    ) -> None:
        self._write(containers, volume, "kept")
        spec = containers.spec(volumes={"/data": volume})
        process = guarding(make_engine, spec.labels[f"{LABEL}id"])
        containers.engine.create(spec)
        process.kill()
        containers.wait_until_gone(spec.name)
        assert self._read(containers, volume) == "kept"

    def test_chosen_port_survives_a_restart(self, containers: Containers) -> None:
        port = _free_port()
        identity = containers.serve(host_port=port).id
        for _ in range(2):
            address = containers.existing(identity).address
            assert address is not None
            assert address.port == port
            assert REDIS.ready.proves(ask(address, REDIS.ready))
            containers.engine.stop(identity)
            containers.wait_for(identity, containers.engine.start(identity))

    def test_port_with_a_listener_is_in_use(self, containers: Containers) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            identity = containers.create(host_port=port)
            with pytest.raises(PortTaken) as caught:
                containers.engine.start(identity)
        assert caught.value.port == port
        containers.wait_for(identity, containers.engine.start(identity))

    def test_port_of_another_container_is_in_use(self, containers: Containers) -> None:
        port = _free_port()
        containers.serve(host_port=port)
        with pytest.raises(PortTaken) as caught:
            containers.start(host_port=port)
        assert caught.value.port == port

    def _write(self, containers: Containers, volume: str, text: str) -> None:
        script = f"echo {text} >{self.root}/data/word"
        identity, watch = containers.run(script, volumes={"/data": volume})
        assert watch.ended(ENDS_S) is not None
        watch.close()
        containers.engine.remove(identity)

    def _read(self, containers: Containers, volume: str) -> str:
        script = f"cat {self.root}/data/word"
        identity, watch = containers.run(script, volumes={"/data": volume})
        assert watch.ended(ENDS_S) is not None
        word = watch.log(9).strip()
        watch.close()
        containers.engine.remove(identity)
        return word


def _volumes(engine: Engine, name: str) -> list[Volume]:
    return [volume for volume in engine.volumes({}) if volume.name == name]


def _wait_until_gone(engine: Engine, name: str) -> None:
    wait_until(lambda: not _volumes(engine, name), ENDS_S, "the volume is still there")


def _free_port() -> int:
    """Return an unused port outside the range from which engines choose ports."""
    for port in range(20000, 30000, 7):
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:  # noqa: PERF203 - few iterations
            continue
    raise AssertionError("no port is free")
