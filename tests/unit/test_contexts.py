"""Docker contexts and the choice of the engine."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_ldb.engines.docker.engine import DockerEngine
from pytest_ldb.engines.docker.transport.contexts import DEFAULT, engine_address
from pytest_ldb.model.errors import EngineUnavailable


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty configuration folder of the Docker client."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_context(folder: Path, name: str, host: str) -> None:
    place = hashlib.sha256(name.encode()).hexdigest()
    meta = {"Name": name, "Endpoints": {"docker": {"Host": host}}}
    write(folder / "contexts/meta" / place / "meta.json", meta)


@pytest.mark.parametrize("config", [None, {}, {"currentContext": "default"}, []])
def test_default_socket_without_a_context(folder: Path, config: object) -> None:
    if config is not None:
        write(folder / "config.json", config)
    assert engine_address() == DEFAULT == "unix:///var/run/docker.sock"


def test_default_named_pipe_without_unix_sockets() -> None:
    """As on Windows."""
    program = """
import socket
del socket.AF_UNIX
from pytest_ldb.engines.docker.transport.contexts import engine_address
print(engine_address())
"""
    answer = subprocess.check_output([sys.executable, "-c", program], text=True, env={})
    assert answer == "npipe:////./pipe/docker_engine\n"


@pytest.mark.parametrize("by_variable", [True, False])
@pytest.mark.parametrize("host", ["unix:///run/user/1000/docker.sock", "tcp://192.0.2.1:2376"])
def test_context_selects_the_engine(
    folder: Path, monkeypatch: pytest.MonkeyPatch, host: str, by_variable: bool
) -> None:
    write_context(folder, "mine", host)
    if by_variable:
        monkeypatch.setenv("DOCKER_CONTEXT", "mine")
    else:
        write(folder / "config.json", {"currentContext": "mine"})
    assert engine_address() == DockerEngine().url == host


@pytest.mark.usefixtures("folder")
def test_docker_host_overrides_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "mine")
    monkeypatch.setenv("DOCKER_HOST", "ssh://build.example.com")
    assert engine_address() == "ssh://build.example.com"


def test_unknown_context_is_an_error(folder: Path) -> None:
    write(folder / "config.json", {"currentContext": "absent"})
    assert engine_address() is None
    with pytest.raises(EngineUnavailable, match="docker context ls"):
        DockerEngine()
