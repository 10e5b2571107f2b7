"""Setup fixtures in whole runs of pytest, on the fake engine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .test_runs import CONFTEST, project, run

__all__ = ["project"]

pytestmark = pytest.mark.process

FOLDER = '''
def folder(database):
    container = HERE / "fake" / "containers" / f"ldb-{database.instance.name}"
    return container / "root" / "db" / database.database

def put(database, name):
    (folder(database) / name).mkdir(parents=True)

def things(database):
    return sorted(path.name for path in folder(database).glob("*"))

@pytest.fixture(scope="session")
def fill():
    return put

@pytest.fixture(scope="session")
def find(ldb_fake):
    """A fixture that depends on the database of the worker, and is for all folders."""
    return lambda: things(ldb_fake)

@pytest.fixture(scope="session")
def found_in():
    return things
'''


def write(project: pytest.Pytester, name: str, text: str) -> None:
    path: Path = project.path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"import pytest, sys\nfrom functools import partial\n{text}")


OWN_SETUP = """
@pytest.fixture(scope="session")
def ldb_fake_setup(fill):
    return partial(fill, name={name!r})
"""


def test_folders_modules_and_parameters_get_databases_of_their_own(
    project: pytest.Pytester,
) -> None:
    project.makeconftest(CONFTEST + FOLDER)
    for name in ("a", "b"):
        write(project, f"{name}/conftest.py", OWN_SETUP.format(name=name))
        write(
            project,
            f"{name}/test_{name}.py",
            f"def test_find(find): assert find() == [{name!r}]\n"
            f"def test_asked(request): assert request.getfixturevalue('find')() == [{name!r}]\n"
            f"def test_fresh(ldb_fake_db, found_in): assert found_in(ldb_fake_db) == [{name!r}]\n",
        )
    write(
        project,
        "test_module.py",
        OWN_SETUP.format(name="m") + "def test_find(find): assert find() == ['m']\n",
    )
    write(project, "test_none.py", "def test_find(find): assert find() == []\n")
    write(
        project,
        "test_parameters.py",
        """
@pytest.fixture(scope="session", params=["p", "q"])
def ldb_fake_setup(request, fill):
    return lambda database: fill(database, request.param)

def test_both(ldb_fake, ldb_fake_db, found_in, request):
    assert found_in(ldb_fake) == found_in(ldb_fake_db) == [request.node.name[10]]
""",
    )
    write(
        project,
        "test_marks.py",
        """
STATE = {}

@pytest.fixture(scope="session", params=["p", "q"])
def changed(request):
    STATE["name"] = request.param

def put_state(database):
    STATE["put"](database, STATE["name"])

class TestState:
    @staticmethod
    @pytest.fixture(scope="session")
    def ldb_fake_setup(changed, fill):
        STATE["put"] = fill
        return put_state

    def test_it(self, ldb_fake_db, found_in, request):
        assert found_in(ldb_fake_db) == [request.node.name[8]]

@pytest.mark.parametrize("ldb_fake_setup", [None, put_state])
def test_direct(ldb_fake_db, found_in, ldb_fake_setup):
    assert found_in(ldb_fake_db) == (["q"] if ldb_fake_setup else [])
""",
    )
    order = (
        "a",
        "b",
        "test_module.py",
        "test_none.py",
        "test_parameters.py",
        "test_marks.py",
        "a/test_a.py",
    )
    result = run(project, "--keep-duplicates", *order)
    result.assert_outcomes(passed=17)


def test_failures_are_told_in_full_once(project: pytest.Pytester) -> None:
    project.makeconftest(CONFTEST + FOLDER)
    write(
        project,
        "test_it.py",
        """
class Uses:
    def test_1(self, ldb_fake): pass
    def test_2(self, ldb_fake): pass
    def test_3(self, find): pass
    def test_4(self, ldb_fake_db): pass

def setting_up(function, scope="session"):
    return staticmethod(pytest.fixture(scope=scope)(function))

def wrong(database): raise ValueError("migration 7")
def skipping(database): pytest.skip("no data")
def leaving(database): sys.exit(3)

class TestWrong(Uses):
    ldb_fake_setup = setting_up(lambda: wrong)

class TestWrongFixture(Uses):
    ldb_fake_setup = setting_up(lambda: wrong(None))

class TestSkips(Uses):
    ldb_fake_setup = setting_up(lambda: skipping)

class TestSkipsFixture(Uses):
    ldb_fake_setup = setting_up(lambda: skipping(None))

class TestLeaves(Uses):
    ldb_fake_setup = setting_up(lambda: leaving)

class TestLeavesFixture(Uses):
    ldb_fake_setup = setting_up(lambda: leaving(None))

class TestCircle(Uses):
    ldb_fake_setup = setting_up(lambda ldb_fake: None)

class TestHiddenCircle(Uses):
    ldb_fake_setup = setting_up(lambda find: None)

class TestFunction(Uses):
    ldb_fake_setup = setting_up(lambda: skipping, scope="function")
    def test_5(self, ldb_fake_db): pass

class TestNoFile(Uses):
    ldb_fake_setup = setting_up(lambda: ["nowhere.sql"])
""",
    )
    result = run(project, "-rs")
    result.assert_outcomes(errors=33, skipped=8)
    output = result.stdout.str()
    once = {
        r"^E +ValueError: migration 7$": 2,
        r"^>.*def wrong": 2,
        r"^ldb_fake: it has failed before: ValueError: migration 7\. The first": 2,
        r"^fake: its setup, ldb_fake_setup, has failed before: ValueError: migration 7\.$": 1,
        r"^ldb_fake_setup: it has failed before: ValueError: migration 7\. The first": 3,
        r"^fake: its setup, ldb_fake_setup, ended the process\.$": 1,
        r"^fake: its setup, ldb_fake_setup, has failed before: SystemExit: 3\.$": 1,
        r"^ldb_fake_setup: it called sys.exit\(3\)\.": 4,
        r"^ldb_fake_setup: it asks for (ldb_fake|find), which waits for the setup": 8,
        r"^ScopeMismatch: .*function scoped fixture ldb_fake_setup": 3,
        r"^ldb_fake_setup: it has the scope of a function, but the setup runs once": 2,
        r"^nowhere\.sql: this file cannot be read\.$": 1,
        r"^nowhere\.sql: this file cannot be read\. The first test that failed": 2,
    }
    assert {line: len(re.findall(line, output, re.MULTILINE)) for line in once} == once
    assert not re.search(r"(setups|hooks|setup_call|background)\.py:\d", output)


RERUNS = """
from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    for attempt in range(3):
        last = runtestprotocol(item, nextitem=nextitem, log=False)
        if not any(report.failed for report in last):
            break
    for report in last:
        item.ihook.pytest_runtest_logreport(report=report)
    return True
"""


@pytest.mark.parametrize("setup", ["", OWN_SETUP.format(name="thing")], ids=["empty", "filled"])
def test_database_is_new_when_the_last_test_is_run_again(
    project: pytest.Pytester, setup: str
) -> None:
    project.makeconftest(CONFTEST + FOLDER + RERUNS)
    write(
        project,
        "test_it.py",
        setup + "SEEN = []\n"
        "def test_it(ldb_fake, ldb_fake_db, find, found_in, fill):\n"
        "    SEEN.append((find(), found_in(ldb_fake_db)))\n"
        "    fill(ldb_fake, 'left')\n"
        "    assert len(SEEN) == 3\n"
        "    assert SEEN[0] == SEEN[1] == SEEN[2]\n"
        f"    assert SEEN[0] == ({['thing'] if setup else []},) * 2\n",
    )
    result = run(project, "--ldb-keep-failed")
    result.assert_outcomes(passed=1)
    assert "kept for the tests that failed" not in result.stdout.str()
