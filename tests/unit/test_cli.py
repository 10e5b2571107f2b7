"""Pure functions of the command pytest-ldb: formatting and interpreting engine data."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_ldb.cli import doctor
from pytest_ldb.cli.output import age, size
from pytest_ldb.engines.docker.inspect import About, about
from pytest_ldb.engines.docker.transport.endpoint import Endpoint
from pytest_ldb.model.errors import InvalidRequest

GB = 10**9


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 s"), (0, "0 s"), (59, "59 s"), (60, "1 min"), (7199, "1 h"), (200000, "2 d")],
)
def test_age_uses_the_largest_fitting_unit(seconds: int, said: str) -> None:
    assert age(datetime.now(timezone.utc) - timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(("count", "said"), [(None, "-"), (999, "999 bytes"), (4096, "4 kB")])
def test_size_is_human_readable(count: int | None, said: str) -> None:
    assert size(count) == said


DOCKER = {"Version": "28.2.2", "ApiVersion": "1.50", "Os": "linux", "Arch": "amd64"}
INFO = {"OperatingSystem": "Debian", "Driver": "overlay2", "NCPU": 2, "MemTotal": 4 * GB}


def told(*, url: str = "unix:///var/run/docker.sock", components: Any = None, **info: Any) -> About:
    return about(Endpoint(url), {**DOCKER, "Components": components}, {**INFO, **info})


def test_engine_description(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    engine = told(components=[{"Name": "Engine"}])
    assert (engine.product, engine.version, engine.api) == ("Docker", "28.2.2", "1.50")
    assert (engine.rootless, engine.local, engine.cpus, engine.memory_bytes) == (
        *(False, True),
        *(2, 4 * GB),
    )
    assert engine.system == "Debian, linux/amd64"
    assert engine.chosen_by == "the current Docker context"
    assert told(components=[{"Name": "Podman Engine"}]).product == "Podman"
    assert told(SecurityOptions=["name=seccomp", "name=rootless"]).rootless
    assert not told(url="tcp://10.0.0.5:2375").local
    assert about(Endpoint("unix:///x"), {}, {}).product == "Docker"
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    assert told().chosen_by == "DOCKER_CONTEXT, far"
    monkeypatch.setenv("DOCKER_HOST", "unix:///x")
    assert told().chosen_by == "DOCKER_HOST"


def findings(told: About, bind: Any = None) -> dict[str, Any]:
    engine = SimpleNamespace(about=lambda: told, bind=bind or (lambda _: "127.0.0.1"))
    found = doctor._engine(SimpleNamespace(engine=engine))  # type: ignore[arg-type]
    return {finding.topic: finding for finding in found}


def test_doctor_accepts_an_adequate_engine() -> None:
    assert {one.level for one in findings(told()).values()} == {"ok"}
    assert findings(told())["ports"].fact == "published on 127.0.0.1"


def test_doctor_warns_about_little_memory() -> None:
    memory = findings(told(MemTotal=GB))["memory"]
    assert (memory.level, memory.fact) == ("note", "2 processors, 1.0 GB of memory")
    assert "--ldb-durable" in memory.remedy


def test_doctor_notes_a_remote_engine() -> None:
    def bind(_: Any) -> str:
        raise InvalidRequest("the engine", "it is far away", remedy="Say where.")

    found = findings(told(url="tcp://10.0.0.5:2375"), bind)
    assert "on another machine" in found["engine"].fact
    assert (found["ports"].level, found["ports"].remedy) == ("note", "Say where.")


def test_plugin_does_not_import_cli_dependencies() -> None:
    modules = "pytest_ldb.plugin.session, pytest_ldb.plugin.hooks, pytest_ldb.engines.docker.engine"
    code = f"import sys, {modules}; print({{'click', 'rich', 'psutil'}} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
