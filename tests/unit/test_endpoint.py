"""The location of the engine, and where its ports can be reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_ldb.engines.docker.transport import endpoint
from pytest_ldb.engines.docker.transport.endpoint import (
    Endpoint,
    container_of_mounts,
    own_container,
)
from pytest_ldb.model.errors import InvalidRequest

HERE = "127.0.0.1"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("unix:///var/run/docker.sock", HERE),
        ("http+unix:///var/run/docker.sock", HERE),
        ("npipe:////./pipe/docker_engine", HERE),
        ("/var/run/docker.sock", HERE),
        ("tcp://127.0.0.1:2375", HERE),
        ("tcp://127.0.1.1:2375", HERE),
        ("tcp://localhost:2375", HERE),
        ("tcp://[::1]:2375", HERE),
        ("tcp://192.0.2.7:2376", "192.0.2.7"),
        ("tcp://[2001:db8::7]:2376", "2001:db8::7"),
        ("tcp://build.example.com:2376", "build.example.com"),
        ("https://build.example.com:2376", "build.example.com"),
        ("ssh://me@build.example.com", "build.example.com"),
    ],
)
def test_ports_are_reached_on_the_engine_host(url: str, host: str) -> None:
    assert Endpoint(url).host == host
    assert Endpoint(url).is_local is (host == HERE)


@pytest.mark.parametrize(
    ("url", "published", "host"),
    [
        ("unix:///var/run/docker.sock", "127.0.0.1", HERE),
        ("unix:///var/run/docker.sock", "0.0.0.0", HERE),
        ("unix:///var/run/docker.sock", "::", HERE),
        ("unix:///var/run/docker.sock", "", HERE),
        ("unix:///var/run/docker.sock", "192.0.2.7", "192.0.2.7"),
        ("tcp://192.0.2.7:2376", "0.0.0.0", "192.0.2.7"),
        ("ssh://me@build.example.com", "10.0.0.7", "build.example.com"),
    ],
)
def test_local_ports_are_reached_at_their_bind_address(url: str, published: str, host: str) -> None:
    assert Endpoint(url).reached_at(published) == host


@pytest.mark.parametrize("chosen", ["0.0.0.0", "192.0.2.7", "::1"])
@pytest.mark.parametrize("url", ["unix:///var/run/docker.sock", "tcp://192.0.2.7:2376"])
def test_chosen_bind_address_is_used(url: str, chosen: str) -> None:
    assert Endpoint(url).bind(chosen) == chosen


def test_local_engine_publishes_on_loopback() -> None:
    assert Endpoint("unix:///var/run/docker.sock").bind(None) == HERE


def test_remote_engine_requires_a_bind_address() -> None:
    with pytest.raises(InvalidRequest) as caught:
        Endpoint("ssh://me@build.example.com").bind(None)
    assert caught.value.subject == "the engine at ssh://me@build.example.com"
    assert "--ldb-bind" in caught.value.remedy


@pytest.mark.parametrize(
    ("marks", "variable", "name"),
    [([], "abc", None), (["docker"], "abc", "abc"), (["podman"], "", "the-host")],
)
def test_process_in_a_container_knows_the_container_id(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    marks: list[str],
    variable: str,
    name: str | None,
) -> None:
    for mark in marks:
        (tmp_path / mark).touch()
    here = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}
    monkeypatch.setattr(endpoint, "Path", lambda path: tmp_path / here[path])
    monkeypatch.setattr(endpoint, "_MOUNTS", tmp_path / "absent")
    monkeypatch.setattr("socket.gethostname", lambda: "the-host")
    monkeypatch.setenv("HOSTNAME", variable)
    assert own_container() == name


ID = "70b4639fa2d92788d18642c1d45e84071fc124154343e5f18c6fc8017ba0ec05"


@pytest.mark.parametrize(
    ("mount", "known"),
    [
        (f"/var/lib/docker/containers/{ID}/hostname /etc/hostname", True),
        (f"/containers/{ID}/resolv.conf /etc/resolv.conf", True),
        (f"/home/me/.local/share/docker/containers/{ID}/hosts /etc/hosts", True),
        (f"/user/1000/containers/overlay-containers/{ID}/userdata/hostname /etc/hostname", True),
        (f"/var/lib/docker/containers/{ID}/hostname /mnt/hostname", False),
        (f"/var/lib/docker/containers/{ID}/mounts/secrets /run/secrets", False),
        ("/etc/hostname /etc/hostname", False),
        ("/kubelet/pods/3b2c/etc-hosts /etc/hosts", False),
    ],
)
def test_container_is_known_by_its_mounts(mount: str, known: bool) -> None:
    mounts = f"703 685 0:30 / / rw - overlay x rw\n704 685 254:0 {mount} rw,relatime - ext4 x rw\n"
    assert container_of_mounts(mounts) == (ID if known else None)
