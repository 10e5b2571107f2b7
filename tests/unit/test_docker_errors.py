"""Translation of engine refusals and connection failures into LdbError classes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_ldb.engines.docker.errors import (
    answering,
    if_there,
    is_without_image,
    refusal,
    shell_refused,
)
from pytest_ldb.engines.docker.transport.http import Refused, Transport
from pytest_ldb.model import errors

NO_COMMAND = (errors.EngineFailed, ["its command cannot be run", "one of this database type"])
IN_USE = 'Conflict. The container name "/ldb-x" is already in use by container "1234"'
PODMAN_IN_USE = 'creating container storage: the container name "ldb-x" is already in use by 1234'


@pytest.mark.parametrize(
    ("error", "expected", "said"),
    [
        (Refused(409, IN_USE), errors.NameTaken, ["already in use"]),
        (Refused(500, PODMAN_IN_USE), errors.NameTaken, ["already in use"]),
        (Refused(409, "removal is in progress"), errors.EngineFailed, ["in progress"]),
        (Refused(500, "write /x: no space left on device"), errors.DiskFull, ["docker system df"]),
        (Refused(404, 'exec: "x": executable file not found in $PATH'), *NO_COMMAND),
        (Refused(400, 'exec: "/x": stat /x: no such file or directory'), *NO_COMMAND),
        (Refused(404, "No such image: x"), errors.EngineFailed, ["No such image: x"]),
        (TimeoutError("60 s"), errors.EngineUnavailable, ["does not answer any more", "60 s"]),
        (ConnectionRefusedError("no"), errors.EngineUnavailable, ["Start Docker", "no"]),
        (FileNotFoundError("docker.sock"), errors.EngineUnavailable, ["--ldb-no-engine=skip"]),
        (PermissionError("docker.sock"), errors.EngineForbidden, ["group that owns the socket"]),
    ],
)
def test_every_engine_error_is_translated(
    error: Refused | OSError, expected: type[Exception], said: list[str]
) -> None:
    with pytest.raises(errors.LdbError) as caught, answering("redis:8", "unix:///x"):
        raise error
    assert type(caught.value) is expected
    about = "redis:8" if isinstance(error, Refused) else "the container engine at unix:///x"
    assert str(caught.value).startswith(f"{about}: ")
    assert all(words in str(caught.value) for words in said)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ('exec: "sh": executable file not found in $PATH', errors.EngineFailed),
        ("container 1234 is not running", errors.ShellLost),
        ("Container 1234 is paused, unpause the container before exec", errors.ShellLost),
    ],
)
def test_image_without_sh_is_not_reported_as_exited_container(
    words: str, expected: type[Exception]
) -> None:
    assert type(shell_refused("ldb-x", Refused(400, words))) is expected


@pytest.mark.parametrize(
    ("words", "port"),
    [
        ("driver failed: Bind for 127.0.0.1:5432 failed: port is already allocated", 5432),
        ("listen tcp4 127.0.0.1:5432: bind: address already in use", 5432),
        ("listen tcp [::1]:5432: bind: address already in use", 5432),
        ("for 0.0.0.0:5432:172.17.0.2:80: listen 0.0.0.0:5432: address already in use", 5432),
        (
            "driver failed programming external connectivity on endpoint ldb-x (1234): "  # noqa: ISC004
            "failed to bind host port for 127.0.0.1:5432:172.17.0.2:80/tcp: address already in use",
            5432,
        ),
        ("failed to bind host port 127.0.0.1:5432/tcp: address already in use", 5432),
        ("port is already allocated", 0),
    ],
)
def test_port_conflict_is_recognised_by_engine_messages(words: str, port: int) -> None:
    error = refusal("mine", words)
    assert isinstance(error, errors.PortTaken)
    assert (error.subject, error.port, error.evidence) == ("mine", port, words)
    assert (f"port {port}" in error.fact) == bool(port)


def test_other_refusals_are_not_port_conflicts() -> None:
    assert type(refusal("mine", "no such exec: 80")) is errors.EngineFailed


def refusing(status: int, message: str) -> Transport:
    class Refusing(Transport):
        def request(self, *_: object, **__: object) -> object:
            raise Refused(status, message)

    return Refusing(lambda: pytest.fail("nothing is sent"))


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "No such container: x"),
        (404, "status 404"),
        (500, "container x does not exist in database: no such container"),
        (500, "x: image not known"),
        (500, "volume x: no such volume"),
    ],
)
def test_missing_object_is_none_at_any_status(status: int, message: str) -> None:
    assert if_there(refusing(status, message), "GET", "/x") is None


def test_other_refusals_are_raised() -> None:
    with pytest.raises(Refused, match="is in use"):
        if_there(refusing(409, "volume x is in use"), "DELETE", "/x")


@pytest.mark.parametrize(
    ("status", "message", "is_image"),
    [
        (404, "No such image: x:1", True),
        (500, "x:1: image not known", True),
        (404, "pull access denied for x, repository does not exist", True),
        (404, "No such container: x", False),
        (409, "x is in use", False),
    ],
)
def test_missing_image_is_distinguished_from_other_refusals(
    status: int, message: str, is_image: bool
) -> None:
    assert is_without_image(Refused(status, message)) == is_image


def test_error_translation_needs_no_sdk() -> None:
    program = """
import sys
sys.modules["docker"] = sys.modules["requests"] = None
from pytest_ldb.engines.docker.engine import DockerEngine
try:
    DockerEngine("unix:///nowhere/docker.sock").find("x")
except Exception as error:
    print(type(error).__name__)
"""
    answer = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert answer == "EngineUnavailable\n"
