"""Passwords do not leak, and servers listen on loopback only."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from .conftest import Project, docker

TEST = """
import pathlib, pytest, time

DRIVERS = {"postgres": "asyncpg", "mysql": "pymysql", "mongodb": "pymongo", "redis": "redis"}

@pytest.fixture(params=DRIVERS)
def database(request):
    return request.getfixturevalue(f"ldb_{request.param}")

def test_shown(database, record):
    record(password=database.password, name=database.instance.name)
    local, driver = database.url, DRIVERS[database.database_type.name]
    assert (database, database.connect_args(driver), database.env, local) == database.instance

def test_compared(database):
    assert database.url == "nothing like it"

def test_raised(database):
    raise ValueError(f"cannot use {database.url}")

def test_watched(database, record):
    pathlib.Path("ready").touch()
    time.sleep(0.5)
"""


def test_passwords_are_never_shown(project: Project) -> None:
    project.write("test_secrets.py", TEST)
    report = project.root / "report.xml"
    process = project.start("-vv", "--showlocals", f"--junitxml={report}")
    project.wait_for_record("ready")
    seen = command_lines()
    bindings = docker(
        "inspect", "--format", "{{json .NetworkSettings.Ports}}", *project.containers()
    )
    output, _ = process.communicate(timeout=60)
    passwords = [record["password"] for record in project.records()]
    assert len(passwords) == 4
    for password in passwords:
        assert len(password) == 32
        assert password not in seen
        assert password not in output
        assert password not in report.read_text()
    for line in bindings.splitlines():
        ports = [binding for bound in json.loads(line).values() for binding in bound or ()]
        assert {binding["HostIp"] for binding in ports} == {"127.0.0.1"}


def command_lines() -> str:
    """Return the command lines of all processes of the machine, those in containers included."""
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    return subprocess.list2cmdline(line.decode(errors="replace") for line in lines)
