"""Tests that run in forked children, as with pytest-forked, on the fake engine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from pytest_ldb.testing.processes import wait_until

from .test_runs import CONFTEST, GONE_WITHIN_S, project, run, servers

pytestmark = pytest.mark.process

__all__ = ["project", "servers"]

FORKING = """
from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        failed = [text for report in reports if report.failed for text in texts(report)]
        os.write(writing, json.dumps([item.name, failed]).encode())
        os._exit(0)
    os.waitpid(child, 0)
    with (HERE / "results").open("ab") as file:
        file.write(os.read(reading, 65536) + b"\\n")
    return True

def texts(report):
    return [report.longreprtext, *map(str, report.sections)]
"""

TESTS = """
import json, os
from pathlib import Path

def test_shared(ldb_fake, record):
    assert os.environ.get("A", ldb_fake.url) == ldb_fake.url
    ldb_fake.restore(ldb_fake.snapshot())

def test_fresh(ldb_fake_db, ldb_fake, record):
    assert ldb_fake_db.url != ldb_fake.url

def test_failing(ldb_fake):
    Path("password").write_text(ldb_fake.password)
    assert ldb_fake.url == ""
"""


CLONING = 'clone=("sh", "-c", "mkdir -p db/{template} && cp -rT db/{template} db/{database}")'


@pytest.mark.parametrize("arguments", [[], ["-n2", "--ldb-env=A=fake.url"]], ids=["alone", "env"])
def test_forked_tests_share_the_server_of_the_run(
    project: pytest.Pytester, servers: Callable[[], list[str]], arguments: list[str]
) -> None:
    project.makeconftest("")
    plugged = re.sub(r"clone=\(.*\)", lambda _: CLONING, CONFTEST) + FORKING
    project.makepyfile(plugged=plugged, test_it=TESTS)
    run(project, "-p", "plugged", *arguments)
    results = (project.path / "results").read_text()
    assert (project.path / "password").read_text() not in results
    failed = dict(map(json.loads, results.splitlines()))
    assert failed.pop("test_failing")
    assert failed == {"test_shared": [], "test_fresh": []}
    found = [json.loads(path.read_text()) for path in project.path.glob("record-*.json")]
    assert len({record["server"] for record in found}) == 1
    assert len({record["pid"] for record in found}) == 2
    wait_until(lambda: not servers(), GONE_WITHIN_S, "the server is still there")
