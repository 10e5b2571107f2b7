"""Operations of the Docker engine on a socket with prepared responses."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_ldb.engines.docker import engine as docker_engine
from pytest_ldb.engines.docker.engine import DockerEngine
from pytest_ldb.engines.protocol import ContainerSpec
from pytest_ldb.model.errors import (
    EngineFailed,
    EngineUnavailable,
    ImageUnavailable,
    NameTaken,
    ShellLost,
)
from pytest_ldb.model.instance import Address

from .engine_socket import EngineSocket

BARE = "0" * 64
SPEC = ContainerSpec(
    name="ldb-x",
    image="redis:8",
    command=(),
    environment={},
    labels={},
    port=6379,
    bind="127.0.0.1",
    memory_volumes=(),
    data_mib=None,
    memory_mib=None,
    shm_mib=64,
    auto_remove=True,
    files={},
)


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineSocket]:
    monkeypatch.setattr(docker_engine, "own_container", lambda: None)
    engine = EngineSocket(tmp_path)
    yield engine
    engine.close()


@pytest.fixture
def engine(answers: EngineSocket) -> DockerEngine:
    return DockerEngine(answers.url)


def container(**state: Any) -> dict[str, Any]:
    return {
        "Id": BARE,
        "Name": "/ldb-x",
        "Config": {"Labels": None},
        "Image": BARE,
        "State": {
            "Status": "running",
            "Running": True,
            "ExitCode": 0,
            "FinishedAt": "0001-01-01T00:00:00Z",
            **state,
        },
        "HostConfig": {},
        "NetworkSettings": {
            "Ports": {"6379/tcp": [{"HostIp": "127.0.0.1", "HostPort": "49153"}]},
            "Networks": {"tests": {"IPAddress": "172.18.0.2"}},
        },
    }


def test_another_process_gets_the_same_engine(engine: DockerEngine) -> None:
    assert pickle.loads(pickle.dumps(engine)).url == engine.url


def test_missing_container_is_none(engine: DockerEngine, answers: EngineSocket) -> None:
    assert engine.find("absent") is None
    answers.rules.append(("GET", 500, {"message": "no container with name x: no such container"}))
    assert engine.find("absent") is None
    assert answers.requests == ["GET /containers/absent/json"] * 2


def test_create_without_response_is_not_retried(
    engine: DockerEngine, answers: EngineSocket
) -> None:
    """The first request may have created the container; a retry would find its name in use."""
    answers.rules.append(b"")
    with pytest.raises(EngineUnavailable):
        engine.create(SPEC)
    assert answers.requests == ["POST /containers/create?name=ldb-x"]


def test_start_without_response_is_not_retried(engine: DockerEngine, answers: EngineSocket) -> None:
    answers.rules = [("POST /containers/ldb-x/attach", 200, None), b""]
    with pytest.raises(EngineUnavailable):
        engine.start("ldb-x")
    starts = [request for request in answers.requests if request.endswith("/start")]
    assert len(starts) == 1


@pytest.mark.parametrize("status", [409, 500])
def test_name_conflict_is_recognised_at_any_status(
    engine: DockerEngine, answers: EngineSocket, status: int
) -> None:
    message = 'the container name "ldb-x" is already in use by 1234'
    answers.rules.append(("POST /containers/create", status, {"message": message}))
    with pytest.raises(NameTaken):
        engine.create(SPEC)


def test_create_from_a_removed_image_is_an_error(
    engine: DockerEngine, answers: EngineSocket
) -> None:
    answers.rules = [
        ("POST /containers/create", 404, {"message": "No such image: redis:8"}),
        ("GET /images/json", 200, [{"RepoTags": ["redis:7"]}, {"RepoTags": None}]),
    ]
    with pytest.raises(ImageUnavailable, match="The engine has redis:7"):
        engine.create(SPEC)


def test_image_id_has_an_algorithm_prefix(engine: DockerEngine, answers: EngineSocket) -> None:
    """Podman omits the prefix in some responses and does not accept such an id."""
    image: dict[str, Any] = {"Id": BARE, "Config": {}, "Labels": None, "Size": 1}
    answers.rules = [
        ("GET /images/json", 200, [image]),
        (f"GET /images/sha256%3A{BARE}/json", 200, image),
        (f"DELETE /images/sha256%3A{BARE}", 200, []),
        ("GET /containers/ldb-x/json", 200, container()),
    ]
    (listed,) = engine.images({})
    found = engine.find("ldb-x")
    assert found is not None
    assert listed.id == engine.image(BARE, pull="never", say=print).id == f"sha256:{BARE}"
    assert found.image_id == listed.id
    engine.remove_image(BARE)
    assert answers.requests[-1] == f"DELETE /images/sha256%3A{BARE}"


def test_container_address_is_the_published_port(
    engine: DockerEngine, answers: EngineSocket
) -> None:
    answers.rules.append(("GET /containers/ldb-x/json", 200, container()))
    found = engine.find("ldb-x")
    assert found is not None
    assert found.address == Address("127.0.0.1", 49153)


@pytest.mark.parametrize(
    ("networks", "address", "joined"),
    [
        ({"tests": {}}, Address("172.18.0.2", 6379), "tests"),
        ({"host": {}}, Address("127.0.0.1", 49153), None),
        (None, Address("127.0.0.1", 49153), None),
        ({"none": {}}, Address("127.0.0.1", 49153), None),
    ],
)
def test_container_address_inside_a_container_is_the_network_address(
    engine: DockerEngine,
    answers: EngineSocket,
    monkeypatch: pytest.MonkeyPatch,
    networks: object,
    address: Address,
    joined: str | None,
) -> None:
    monkeypatch.setattr(docker_engine, "own_container", lambda: "0123456789ab")
    own = {"NetworkSettings": {"Networks": networks}}
    answers.rules = [
        ("GET /containers/ldb-x/json", 200, container()),
        ("POST /containers/create", 201, {"Id": BARE}),
        ("GET /containers/0123456789ab/json", 200 if networks else 404, own),
    ]
    found = engine.find("ldb-x")
    assert found is not None
    assert found.address == address
    engine.create(SPEC)
    content = json.loads(answers.heard[-1].partition(b"\r\n\r\n")[2])
    assert content["HostConfig"].get("NetworkMode") == joined
    assert sum("0123456789ab" in request for request in answers.requests) == 1


def test_container_that_has_the_host_name_as_its_name_is_another_one(
    engine: DockerEngine, answers: EngineSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_engine, "own_container", lambda: "runner")
    other = {"Id": BARE, "NetworkSettings": {"Networks": {"theirs": {}}}}
    answers.rules = [
        ("GET /containers/ldb-x/json", 200, container()),
        ("GET /containers/runner/json", 200, other),
    ]
    found = engine.find("ldb-x")
    assert found is not None
    assert found.address == Address("127.0.0.1", 49153)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((409, "container 1234 is not running"), ShellLost),
        ((404, "No such container: x"), ShellLost),
        ((400, 'exec: "sh": executable file not found in $PATH'), EngineFailed),
        (None, ShellLost),  # The engine closed the connection.
    ],
)
def test_refused_shell_reports_the_cause(
    engine: DockerEngine,
    answers: EngineSocket,
    answer: tuple[int, str] | None,
    error: type[Exception],
) -> None:
    answers.rules.append(("POST", answer[0], {"message": answer[1]}) if answer is not None else b"")
    with pytest.raises(error) as caught:
        engine.shell("x", environment={}, ephemeral=False)
    assert type(caught.value) is error


def test_shell_without_an_engine_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable):
        DockerEngine(f"unix://{tmp_path}/absent").shell("x", environment={}, ephemeral=False)


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration of the Docker client."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def test_pull_sends_credentials_and_reports_progress(
    engine: DockerEngine, answers: EngineSocket, configured: Path
) -> None:
    configured.write_text(json.dumps({"auths": {"registry.test": {"auth": "bWU6c2VjcmV0"}}}))
    layer = {"status": "Downloading", "id": "a", "progressDetail": {"current": 1, "total": 2}}
    answers.rules.append(
        b"HTTP/1.0 200 OK\r\n\r\n" + b"".join(json.dumps(layer).encode() + b"\r\n" for _ in "ab")
    )
    heard: list[tuple[int, int]] = []
    engine.pull("registry.test/redis", lambda *numbers: heard.append(numbers))
    assert heard == [(1, 2), (1, 2)]
    assert answers.requests == ["POST /images/create?fromImage=registry.test%2Fredis&tag=latest"]
    assert b"\r\nX-Registry-Auth: " in answers.heard[0]


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.0 404 X\r\n\r\n{"message": "manifest unknown"}',
        b'HTTP/1.0 200 OK\r\n\r\n{"status": "x"}\r\n{"error": "manifest unknown"}\r\n',
    ],
)
@pytest.mark.usefixtures("configured")
def test_failed_pull_reports_the_cause(
    engine: DockerEngine, answers: EngineSocket, answer: bytes
) -> None:
    answers.rules = [("GET /images/json", 200, []), answer]
    with pytest.raises(ImageUnavailable, match="manifest unknown"):
        engine.pull("redis:0", lambda *_: None)


def test_missing_credential_helper_is_an_image_error(
    engine: DockerEngine, answers: EngineSocket, configured: Path
) -> None:
    configured.write_text('{"credsStore": "absent-helper"}')
    answers.rules.append(("GET /images/json", 200, []))
    with pytest.raises(ImageUnavailable, match="docker-credential-absent-helper"):
        engine.image("redis:0", pull="always", say=print)
    assert not any(request.startswith("POST") for request in answers.requests)


def test_guard_that_cannot_be_started_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/absent/python")
    with pytest.raises(EngineFailed, match="cannot be started") as caught:
        DockerEngine("unix:///absent").guard("1")
    assert "No such file" in caught.value.evidence


@pytest.mark.parametrize(
    ("own", "directory", "discarded"),
    [
        ({"AutoRemove": True}, "/absent/state", True),
        ({"AutoRemove": True}, "/proc/self", False),
        ({"AutoRemove": False}, "/absent/state", False),
        (None, "/absent/state", False),
    ],
)
def test_directory_in_a_container_of_docker_run_rm_is_discarded(
    engine: DockerEngine,
    answers: EngineSocket,
    monkeypatch: pytest.MonkeyPatch,
    own: object,
    directory: str,
    discarded: bool,
) -> None:
    inspected = {"Id": BARE, "NetworkSettings": {"Networks": None}, "HostConfig": own}
    monkeypatch.setattr(docker_engine, "own_container", lambda: BARE[:12])
    answers.rules = [(f"GET /containers/{BARE[:12]}/json", 200, inspected)]
    if own is None:
        answers.rules.clear()
    assert engine.discards(Path(directory)) == discarded
