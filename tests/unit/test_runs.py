"""Whole runs of pytest on the fake engine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_ldb.testing.fake.engine import FakeEngine
from pytest_ldb.testing.processes import wait_until

pytestmark = pytest.mark.process

OPTIONS = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")

GONE_WITHIN_S = 2.0

CONFTEST = """
import json, os
from dataclasses import replace
from pathlib import Path
import pytest
from pytest_ldb import REDIS
from pytest_ldb.testing.fake.engine import FakeEngine

HERE = Path(__file__).parent
FAKE_TYPE = replace(
    REDIS,
    name="fake",
    image="fake:1",
    command=(),
    server=replace(REDIS.server, arguments=(), tuning=()),
    client=replace(REDIS.client, argv=()),
    operations=replace(
        REDIS.operations,
        clone=("cp", "-rT", "db/{template}", "db/{database}"),
        drop=("redis-cli", "-n", "{database}", "FLUSHDB"),
    ),
)

@pytest.hookimpl(optionalhook=True)
def pytest_ldb_database_types():
    return [FAKE_TYPE]

@pytest.hookimpl(optionalhook=True)
def pytest_ldb_engine():
    return FakeEngine(HERE / "fake")

@pytest.hookimpl(optionalhook=True)
def pytest_ldb_instance_ready(instance):
    (HERE / f"ready-{os.getpid()}").write_text(instance.to_json())

@pytest.fixture
def record(ldb_fake, request):
    values = {"pid": os.getpid(), "url": ldb_fake.url, "server": str(ldb_fake.instance.id)}
    draft = HERE / f"draft-{os.getpid()}"
    draft.write_text(json.dumps(values))
    draft.rename(HERE / f"record-{request.node.name}.json")
"""


@pytest.fixture
def project(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.Pytester]:
    for name in os.environ:
        if name.startswith("LDB_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(pytester.path / "state"))
    pytester.makeconftest(CONFTEST)
    yield pytester
    engine = FakeEngine(pytester.path / "fake")
    for container in engine.containers({}):
        engine.remove(container.id)


@pytest.fixture
def servers(project: pytest.Pytester) -> Callable[[], list[str]]:
    """Return the names of the existing servers."""
    engine = FakeEngine(project.path / "fake")
    return lambda: [container.name for container in engine.containers({})]


def records(project: pytest.Pytester) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(project.path.glob("record-*.json"))]


def run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return project.runpytest_subprocess(*OPTIONS, *arguments)


def start(project: pytest.Pytester, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        # Started in the background, the tests themselves may ignore Ctrl-C.
        [
            *("/usr/bin/env", "--default-signal=INT", sys.executable),
            *("-m", "pytest", *OPTIONS, *arguments),
        ],
        cwd=project.path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def wait_for(path: Path) -> None:
    wait_until(path.exists, 20.0, f"no {path.name}")


def test_fixture_gives_a_database(
    project: pytest.Pytester, servers: Callable[[], list[str]]
) -> None:
    project.makepyfile(
        """
        import socket
        def test_it(ldb_fake, record):
            with socket.create_connection((ldb_fake.host, ldb_fake.port)) as connection:
                connection.sendall(b"PING\\r\\n")
                assert connection.recv(100) == b"+PONG\\r\\n"
        def test_same(ldb_fake, record):
            pass
        """
    )
    result = run(project)
    result.assert_outcomes(passed=2)
    summary = ["=* ldb =*", "fake: fake:1 created in * s (start * s, ready * s)"]
    result.stdout.fnmatch_lines(["*100%]", "", *summary], consecutive=True)
    one, other = records(project)
    assert one["url"] == other["url"]
    assert len(list(project.path.glob("ready-*"))) == 1
    wait_until(lambda: not servers(), GONE_WITHIN_S, "the server is still there")


def test_workers_share_a_server_with_separate_databases(
    project: pytest.Pytester, servers: Callable[[], list[str]]
) -> None:
    project.makepyfile("\n".join(f"def test_{n}(record): pass" for n in range(8)))
    result = run(project, "-n", "3")
    result.assert_outcomes(passed=8)
    found = records(project)
    workers = {record["pid"] for record in found}
    line = f"fake: fake:1 created in * (start * s, ready * s) for {len(workers)} workers"
    result.stdout.fnmatch_lines([line])
    assert len({record["server"] for record in found}) == 1
    assert len({record["url"] for record in found}) == len(workers)
    wait_until(lambda: not servers(), GONE_WITHIN_S, "the server is still there")


SETUP = """
def folder(database):
    container = HERE / "fake" / "containers" / f"ldb-{database.instance.name}"
    return container / "root" / "db" / database.database

@pytest.fixture(scope="session")
def ldb_fake_setup():
    def fill(database):
        (folder(database) / "thing").mkdir(parents=True)
        with (HERE / "setups.log").open("a") as log:
            log.write("x")
    return fill

@pytest.fixture
def things(ldb_fake_db):
    return folder(ldb_fake_db)
"""


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_each_test_gets_a_copy_of_the_template(
    project: pytest.Pytester, servers: Callable[[], list[str]], arguments: list[str]
) -> None:
    project.makeconftest(CONFTEST + SETUP)
    project.makepyfile(
        """
        import pytest
        @pytest.mark.parametrize("n", range(6))
        def test_it(things, n):
            assert [thing.name for thing in things.iterdir()] == ["thing"]
            (things / "more").mkdir()
            assert n != 5
        """
    )
    result = run(project, *arguments)
    result.assert_outcomes(passed=5, failed=1)
    assert (project.path / "setups.log").read_text() == "x"
    wait_until(lambda: not servers(), GONE_WITHIN_S, "the server is still there")


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_report_has_everything_the_run_used(project: pytest.Pytester, arguments: list[str]) -> None:
    project.makeconftest(CONFTEST + SETUP)
    project.makepyfile(
        """
        import pytest
        @pytest.mark.parametrize("n", range(12))
        def test_it(things, n): pass
        """
    )
    result = run(project, "-p", "no:terminal", "--ldb-report=report.json", *arguments)
    assert result.ret == 0
    report = json.loads((project.path / "report.json").read_text())
    (server,) = report["servers"]
    told = ("type", "image", "origin", "templates", "fresh_databases", "kept")
    assert [server[name] for name in told] == ["fake", "fake:1", "created", 1, 12, False]
    assert server["processes"] == (2 if arguments else 1)
    assert server["pull_s"] > 0
    assert server["fresh_wait_longest_s"] >= server["fresh_wait_median_s"] > 0


@pytest.mark.parametrize("worker", ["gw0", "gw1"])
def test_server_ready_after_its_worker_finished_is_reported(
    project: pytest.Pytester, worker: str
) -> None:
    skips = f"""
@pytest.fixture(scope="session", autouse=True)
def others_only(worker_id):
    if worker_id == "{worker}":
        pytest.skip("done")
"""
    project.makeconftest(CONFTEST.replace("command=()", SLOW.format(1.5)) + skips)
    project.makepyfile("\n".join(f"def test_{n}(record): pass" for n in range(4)))
    result = run(project, "-n2", "--ldb-report=report.json")
    result.assert_outcomes(passed=2, skipped=2)
    result.stdout.fnmatch_lines(["fake: fake:1 created in * s (start * s, ready * s)"])
    (server,) = json.loads((project.path / "report.json").read_text())["servers"]
    assert (server["origin"], server["processes"]) == ("created", 1)
    assert server["ready_s"] > 0.5


@pytest.mark.parametrize(
    ("added", "said"),
    [
        (
            "replace(FAKE_TYPE, name='x', aliases=('pg',))",
            "*'x': 'pg' is already a name of the database*",
        ),
        (
            "replace(FAKE_TYPE, name='x_db')",
            "*'x_db': its name must not end in _db: ldb_x_db is a*",
        ),
    ],
)
def test_invalid_declaration_is_a_usage_error(
    project: pytest.Pytester, added: str, said: str
) -> None:
    project.makeconftest(CONFTEST.replace("return [FAKE_TYPE]", f"return [FAKE_TYPE, {added}]"))
    result = run(project)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])


def test_summary_shows_waiting_times(project: pytest.Pytester) -> None:
    project.makeconftest(CONFTEST + SETUP)
    project.makepyfile(
        """
        def test_it(things): pass
        def test_more(things): assert 0
        """
    )
    work = "  image pulled in * s, 1 template in * s, 2 fresh databases, median wait * ms"
    run(project, "--ldb-keep-failed").stdout.fnmatch_lines(
        ["fake: fake:1 created in *", work, "  kept for the tests that failed as ldb-*"],
        consecutive=True,
    )


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_report_is_written_without_servers(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    project.makepyfile("import os\ndef test_it(tmp_path): os.chdir(tmp_path)")
    monkeypatch.setenv("LDB_REPORT", "report.json")
    run(project, *arguments).assert_outcomes(passed=1)
    report = json.loads((project.path / "report.json").read_text())
    assert report == {"schema": 1, "servers": []}
    assert not (project.path / "fake").exists()


SLOW = "command=('sh', '-c', 'sleep {}; exec redis-server')"


@pytest.mark.parametrize("arguments", [["-q"], ["-n", "3"]], ids=["alone", "workers"])
def test_slow_start_is_reported_once(project: pytest.Pytester, arguments: list[str]) -> None:
    project.makeconftest(CONFTEST.replace("command=()", SLOW.format(3)))
    project.makepyfile(test_a="def test_it(ldb_fake): pass", test_b="def test_it(ldb_fake): pass")
    result = run(project, *arguments)
    result.assert_outcomes(passed=2)
    (line,) = [line for line in result.errlines if "starting" in line]
    assert line in {"ldb: fake: starting, 1 s", "ldb: fake: starting, 2 s"}


def test_start_without_waiting_test_is_not_reported(project: pytest.Pytester) -> None:
    project.makeconftest(CONFTEST.replace("command=()", SLOW.format(1.2)))
    project.makepyfile(
        """
        import time
        def test_before(): time.sleep(3)
        def test_it(ldb_fake): pass
        """
    )
    result = run(project)
    result.assert_outcomes(passed=2)
    assert "starting" not in result.stderr.str()


@pytest.mark.parametrize("arguments", [["-q"], ["-n", "2"]], ids=["alone", "workers"])
def test_unwritable_report_is_reported_once_without_failure(
    project: pytest.Pytester, arguments: list[str]
) -> None:
    project.makepyfile("def test_it(ldb_fake): pass")
    result = run(project, "--ldb-report=absent/report.json", *arguments)
    result.assert_outcomes(passed=1)
    assert result.ret == 0
    (line,) = [line for line in result.errlines if "absent" in line]
    path = project.path / "absent/report.json"
    assert line == f"ldb: --ldb-report: {path} could not be written: No such file or directory"


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_servers_start_while_other_tests_run(
    project: pytest.Pytester, arguments: list[str]
) -> None:
    project.makepyfile(
        """
        import time
        from pathlib import Path
        def test_other():
            deadline = time.monotonic() + 10
            while not list(Path("fake/containers").glob("ldb-*")):
                assert time.monotonic() < deadline
                time.sleep(0.01)
        def test_it(ldb_fake): pass
        """
    )
    run(project, *arguments).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("arguments", "test", "outcomes"),
    [
        (["--collect-only"], "def test_it(ldb_fake): pass", {}),
        (["--setup-plan"], "def test_it(ldb_fake_db): pass", {}),
        (["--fixtures"], "def test_it(ldb_fake): pass", {}),
        (
            ["-k", "other"],
            "def test_it(ldb_fake): pass\ndef test_other(): pass",
            {"passed": 1, "deselected": 1},
        ),
        ([], "import pytest\n@pytest.mark.skip\ndef test_it(ldb_fake): pass", {"skipped": 1}),
        (
            [],
            "import pytest\n@pytest.mark.skipif('True', reason='')\ndef test_it(ldb_fake): pass",
            {"skipped": 1},
        ),
        (["-p", "no:ldb"], "def test_other(): pass", {"passed": 1}),
        (["--setup-plan", "-n", "1"], "def test_it(ldb_fake): pass", {}),
    ],
)
def test_deselected_tests_start_no_server(
    project: pytest.Pytester, arguments: list[str], test: str, outcomes: dict[str, int]
) -> None:
    project.makepyfile(test)
    result = run(project, *arguments)
    assert result.ret == 0, result.stderr.str()
    result.assert_outcomes(**outcomes)
    assert not (project.path / "fake").exists()


def test_collection_error_starts_no_server(project: pytest.Pytester) -> None:
    project.makepyfile(test_it="def test_it(ldb_fake): pass", test_broken="absent")
    run(project).assert_outcomes(errors=1)
    assert not (project.path / "fake").exists()
    run(project, "--continue-on-collection-errors").assert_outcomes(passed=1, errors=1)


def test_failed_start_fails_only_tests_that_need_the_server(
    project: pytest.Pytester, servers: Callable[[], list[str]]
) -> None:
    project.makeconftest(
        CONFTEST
        + """
def pytest_ldb_database_types():
    return [FAKE_TYPE, replace(FAKE_TYPE, name="broken", command=("false",))]
"""
    )
    project.makepyfile(
        """
        import time
        def test_other(): time.sleep(0.5)
        def test_it(ldb_fake): pass
        def test_broken(ldb_broken): pass
        def test_broken_too(ldb_broken_db): pass
        """
    )
    result = run(project)
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(["broken: the server ended with exit code 1."])
    wait_until(lambda: not servers(), GONE_WITHIN_S, "the server is still there")


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_killed_run_leaves_nothing(
    project: pytest.Pytester, servers: Callable[[], list[str]], arguments: list[str]
) -> None:
    project.makepyfile("import time\ndef test_it(record): time.sleep(60)")
    process = start(project, *arguments)
    wait_for(project.path / "record-test_it.json")
    assert len(servers()) == 1
    process.kill()
    process.wait()
    wait_until(lambda: not servers(), GONE_WITHIN_S, "the server is still there")


def test_killed_worker_does_not_affect_others(
    project: pytest.Pytester, servers: Callable[[], list[str]]
) -> None:
    project.makepyfile(
        """
        import os, signal
        def test_a(record): pass
        def test_dies(record): os.kill(os.getpid(), signal.SIGKILL)
        def test_b(record): pass
        def test_c(record): pass
        """
    )
    result = run(project, "-n", "2")
    result.assert_outcomes(passed=3, failed=1)
    assert len({record["server"] for record in records(project)}) == 1
    wait_until(lambda: not servers(), GONE_WITHIN_S, "the server is still there")


def test_interrupted_run_leaves_nothing(
    project: pytest.Pytester, servers: Callable[[], list[str]]
) -> None:
    project.makepyfile("import time\ndef test_it(record): time.sleep(60)")
    process = start(project)
    wait_for(project.path / "record-test_it.json")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == pytest.ExitCode.INTERRUPTED
    wait_until(lambda: not servers(), GONE_WITHIN_S, "the server is still there")


def test_kept_server_is_used_by_the_next_run(
    project: pytest.Pytester, servers: Callable[[], list[str]]
) -> None:
    project.makepyfile("def test_it(record): pass")
    first, second = run(project, "--ldb-keep"), run(project, "--ldb-keep")
    name = servers()[0].removeprefix("ldb-")
    for one, origin in ((first, "created"), (second, "attached")):
        lines = [f"fake: fake:1 {origin} in * s*", f"  kept as ldb-{name}, `*{name}` ends it"]
        one.stdout.fnmatch_lines(lines)
    assert len(servers()) == 1
    third = run(project, "--ldb-keep", "--ldb-image=fake=fake:2")
    third.stderr.fnmatch_lines(
        ["ldb: fake: replacing the kept server: image was fake:1, is fake:2*"]
    )
    assert len(servers()) == 1


NOTICE = """
import sys
import time

def pytest_unconfigure():
    heavy = {"docker", "filelock", "pytest_ldb.plugin.session", "pytest_ldb.engines.protocol"}
    print("imported", sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("arguments", "ini", "line"),
    [
        ([], "", None),
        (["--ldb-image-prefix="], "", None),
        (["-v"], "", "ldb: engine unix:///absent"),
        (["--ldb-keep", "-n2"], "", "ldb: keep, engine unix:///absent"),
        ([], "[pytest]\nldb_timeout = 5", "ldb: timeout 5 s, engine unix:///absent"),
        (["--ldb-keep", "-q"], "", None),
        (["--ldb-keep", "--no-header"], "", None),
    ],
)
def test_header_shows_non_default_options(
    project: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    ini: str,
    line: str | None,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///absent")
    project.makeconftest(NOTICE)
    project.makeini(ini)
    project.makepyfile("def test_it(): pass")
    result = run(project, *arguments)
    result.assert_outcomes(passed=1)
    said = [text for text in result.outlines + result.errlines if "ldb: " in text]
    assert said == ([line] if line else [])
    result.stdout.fnmatch_lines(["imported [[]]"])


def test_server_crash_fails_tests_with_one_sentence(project: pytest.Pytester) -> None:
    project.makeconftest(
        CONFTEST.replace("command=()", "command=('sh', '-c', 'echo bad luck; exit 3')")
    )
    project.makepyfile("def test_it(ldb_fake): pass\ndef test_more(ldb_fake): pass")
    result = run(project)
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        [
            "fake: the server ended with exit code 3.",
            "    bad luck",
            "Its last log lines, above, say why; *",
        ],
        consecutive=True,
    )
    assert "Traceback" not in result.stdout.str()
    assert "site-packages" not in result.stdout.str()


@pytest.mark.parametrize(
    ("arguments", "outcomes"),
    [([], {"errors": 1}), (["--ldb-no-engine=skip"], {"skipped": 1})],
    ids=["error", "skip"],
)
def test_missing_engine_fails_or_skips_tests(
    project: pytest.Pytester, arguments: list[str], outcomes: dict[str, int]
) -> None:
    project.makeconftest(
        CONFTEST.replace(
            "    return FakeEngine",
            "    from pytest_ldb.model.errors import EngineUnavailable\n"
            "    raise EngineUnavailable('the engine', 'connection refused')\n"
            "    return FakeEngine",
        )
    )
    project.makepyfile("def test_it(ldb_fake): pass\ndef test_other(): pass")
    result = run(project, "-rs", *arguments)
    result.assert_outcomes(**outcomes, passed=1)
    result.stdout.fnmatch_lines(["*the engine: connection refused.*"])


def test_standalone_server_fixture(
    project: pytest.Pytester, servers: Callable[[], list[str]]
) -> None:
    project.makepyfile(
        """
        from pytest_ldb import InstanceStatus
        def test_it(ldb):
            server = ldb.create("fake")
            assert ldb.stop(server).status is InstanceStatus.STOPPED
            assert ldb.restart(server).address is not None
        """
    )
    run(project).assert_outcomes(passed=1)
    assert servers() == []


def test_fixtures_have_docstrings(project: pytest.Pytester) -> None:
    result = run(project, "--fixtures")
    result.stdout.fnmatch_lines(
        [
            "ldb_postgres [[]session scope[]] -- *",
            "*A postgres database per worker, shared by its tests; `ldb_postgres_db` is per test.",
        ]
    )
    result.stdout.fnmatch_lines(["ldb_fake [[]session scope[]] -- *"])
    result.stdout.fnmatch_lines(["ldb [[]session scope[]] -- *"])


def test_run_without_databases_creates_nothing(project: pytest.Pytester) -> None:
    project.makepyfile("def test_it(): pass")
    run(project).assert_outcomes(passed=1)
    assert not (project.path / "fake").exists()
    assert not (project.path / "state").exists()


@pytest.mark.parametrize("condition", ["False, reason='never'", "'sys.version_info < (3,)'"])
def test_false_skipif_does_not_delay_the_start(project: pytest.Pytester, condition: str) -> None:
    project.makepyfile(
        f"""
        import pytest, time
        from pathlib import Path
        pytestmark = pytest.mark.skipif({condition})
        def test_other():
            deadline = time.monotonic() + 20
            while not list(Path("fake/containers").glob("ldb-*")):
                assert time.monotonic() < deadline
                time.sleep(0.01)
        def test_it(ldb_fake): pass
        """
    )
    run(project).assert_outcomes(passed=2)


def test_raising_skipif_fails_only_its_test(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest
        @pytest.mark.skipif("1 / 0")
        def test_it(ldb_fake): pass
        def test_other(ldb_fake): pass
        """
    )
    result = run(project)
    result.assert_outcomes(passed=1, errors=1)
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()


BROKEN = """
class Counting(FakeEngine):
    def create(self, spec):
        with (HERE / "starts.log").open("a") as log:
            log.write("x")
        return super().create(spec)

def pytest_ldb_engine():
    return Counting(HERE / "fake")

def pytest_ldb_database_types():
    return [replace(FAKE_TYPE, command=("sh", "-c", "echo bad luck; exit 3"))]
"""


@pytest.mark.parametrize("fixture", ["ldb_fake_db", "request.getfixturevalue('ldb_fake_db')"])
def test_failed_start_is_tried_once_and_reported_in_full_once(
    project: pytest.Pytester, fixture: str
) -> None:
    project.makeconftest(CONFTEST + BROKEN)
    argument, body = ("request", fixture) if "(" in fixture else (fixture, "pass")
    tests = [f"def test_{n}({argument}): {body}" for n in range(5)]
    project.makepyfile("\n".join(tests))
    result = run(project)
    counts = result.parseoutcomes()
    assert counts.get("errors", 0) + counts.get("failed", 0) == 5
    assert (project.path / "starts.log").read_text() == "x"
    output = result.stdout.str()
    assert output.count("    bad luck") == 1
    short = "fake: the server ended with exit code 3. The first test that failed with it has the"
    assert output.count(f"\n{short} details.\n") == 4


@pytest.mark.parametrize("arguments", [[], ["-n", "1"]], ids=["alone", "worker"])
def test_hook_error_fails_every_test_of_the_server(
    project: pytest.Pytester, arguments: list[str]
) -> None:
    hook = """
def pytest_ldb_instance_ready(instance):
    with (HERE / "calls.log").open("a") as log:
        log.write("x")
    raise ValueError("no extension")
"""
    project.makeconftest(CONFTEST + hook)
    project.makepyfile("\n".join(f"def test_{n}(ldb_fake_db): pass" for n in range(3)))
    result = run(project, *arguments)
    result.assert_outcomes(errors=3)
    assert (project.path / "calls.log").read_text() == "x"
    assert result.stdout.str().count("E       ValueError: no extension") == 1
    result.stdout.fnmatch_lines(["fake: pytest_ldb_instance_ready raised ValueError.*"])


def test_thread_messages_do_not_disturb_output_capture(
    project: pytest.Pytester,
) -> None:
    """The pool's thread reports at any time that its databases cannot be dropped."""
    project.makeconftest(
        CONFTEST.replace('drop=("redis-cli", "-n", "{database}", "FLUSHDB")', 'drop=("false",)')
    )
    project.makepyfile(
        """
        import pytest, time
        @pytest.mark.parametrize("n", range(10))
        def test_it(ldb_fake_db, capsys, n):
            for line in range(20):
                print(line)
                time.sleep(0.001)
            assert capsys.readouterr().out.split() == [str(line) for line in range(20)]
        """
    )
    result = run(project)
    result.assert_outcomes(passed=10)
    result.stderr.fnmatch_lines(["ldb: fake: a database could not be dropped.*"])


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_workers_send_plain_values(project: pytest.Pytester, arguments: list[str]) -> None:
    """Each process fills the cache itself, so workers send no build orders and no secrets."""
    notice = """
@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    sent = getattr(session.config, "workeroutput", {}).get("ldb")
    if sent is not None:
        (HERE / f"sent-{os.getpid()}").write_text(json.dumps(sent))
"""
    project.makeconftest(CONFTEST + notice)
    project.makepyfile("\n".join(f"def test_{n}(ldb_fake): pass" for n in range(4)))
    run(project, *arguments, "--ldb-cache=always").assert_outcomes(passed=4)
    sent = [json.loads(path.read_text()) for path in project.path.glob("sent-*")]
    assert len(sent) == (2 if arguments else 0)
    assert all({"type", "name", "origin"} <= set(server) for servers in sent for server in servers)


@pytest.mark.parametrize("arguments", [[], ["--ldb-keep"]], ids=["ephemeral", "kept"])
def test_unusable_state_directory_fails_tests_with_one_sentence(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    (project.path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(project.path / "file"))
    project.makepyfile("def test_it(ldb_fake): pass\ndef test_other(): pass")
    result = run(project, *arguments)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the directory for the state of pytest-ldb cannot be used.*"])


def test_replaced_home_does_not_change_the_user(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in suites whose conftest points HOME at a temporary directory."""
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(project.path / "home"))
    replacing = "import os, tempfile\nos.environ['HOME'] = tempfile.mkdtemp(dir='.')\n"
    project.makeconftest(replacing + CONFTEST)
    project.makepyfile("\n".join(f"def test_{n}(record): pass" for n in range(4)))
    result = run(project, "-n2")
    result.assert_outcomes(passed=4)
    assert len(list(project.path.rglob("pytest-ldb/secret"))) == 1
    assert (project.path / "home/.local/state/pytest-ldb/secret").exists()


def test_path_need_not_be_utf_8(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = project.path / os.fsdecode(b"pr\xf6ject")
    odd.mkdir()
    (odd / "conftest.py").write_text(CONFTEST)
    (odd / "test_it.py").write_text("def test_it(ldb_fake_db): pass")
    monkeypatch.setenv("XDG_STATE_HOME", str(odd / "state"))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--ldb-keep"]
    for _ in range(2):  # The second run attaches.
        output = subprocess.run(command, cwd=odd, stdout=subprocess.PIPE, check=False).stdout
        assert b"1 passed" in output, output
    engine = FakeEngine(odd / "fake")
    for container in engine.containers({}):
        engine.remove(container.id)


def test_silent_engine_is_reported_within_the_timeout(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.makeconftest("")
    project.makepyfile("\n".join(f"def test_{n}(ldb_redis_db): pass" for n in range(20)))
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{project.path}/silent")
        silent.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{project.path}/silent")
        began = time.monotonic()
        result = run(project, "--ldb-timeout=1")
        assert time.monotonic() - began < 15
    result.assert_outcomes(errors=20)
    result.stdout.fnmatch_lines(["*silent: the container engine does not answer*"])
