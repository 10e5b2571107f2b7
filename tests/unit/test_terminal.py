"""Lines of the header and the summary."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_ldb.plugin.terminal import header, summary_lines
from pytest_ldb.plugin.usage import Use

from .test_usage import use


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "ldb: engine tcp://there:2375"),
        (
            {"keep": True, "keep_failed": False},
            "ldb: keep, no keep-failed, engine tcp://there:2375",
        ),
        ({"timeout_s": 2.5, "pull": "never"}, "ldb: timeout 2.5 s, pull never, engine tcp://*"),
        (
            {"images": {"postgres": "postgres:17", "redis": "redis:7"}},
            "ldb: images postgres=postgres:17 redis=redis:7, engine tcp://*",
        ),
        ({"urls": {"mysql": "mysql://me:pw@db/x"}}, "ldb: existing servers for mysql, engine tcp*"),
    ],
)
def test_header_shows_non_default_options(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], line: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://there:2375")
    pytest.LineMatcher([header(given, chosen_engine=False)]).fnmatch_lines([line])


def test_header_omits_an_engine_chosen_by_a_hook() -> None:
    assert header({}, chosen_engine=True) == "ldb: engine chosen by pytest_ldb_engine"


def test_header_shows_an_unknown_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONTEXT", "no-such-context")
    assert header({}, chosen_engine=False) == "ldb: engine unknown"


KEPT_AS = "as ldb-shop-1-fake-2, `docker rm -fv ldb-shop-1-fake-2` ends it"


@pytest.mark.parametrize(
    ("told", "lines"),
    [
        (use(), ["fake: fake:1 created in 2.00 s (start 0.50 s, ready 1.50 s)"]),
        (
            use(not_cached="no copy of it is cached yet"),
            [
                "fake: fake:1 created in 2.00 s (start 0.50 s, ready 1.50 s)",
                "  initialised: no copy of it is cached yet",
            ],
        ),
        (use(ready_s=None), ["fake: fake:1 created in 0.50 s, not ready by the end of the run"]),
        (use(origin="attached", ready_s=0.0), ["fake: fake:1 attached in 0.50 s"]),
        (
            use(origin="attached", processes=3, ready_s=0.0),
            ["fake: fake:1 attached in 0.50 s for 3 workers"],
        ),
        (
            use(origin="restored", pull_s=8.0, waits={2.0: 3}),
            [
                "fake: fake:1 restored in 2.00 s (start 0.50 s, ready 1.50 s)",
                "  image pulled in 8.00 s, 3 fresh databases, median wait 2.00 s",
            ],
        ),
        (
            use(origin="existing", image="", waits={0.00001: 1}, templates_s=[0.4, 0.6]),
            [
                "fake: existing server, shop-1-fake-2",
                "  2 templates in 1.00 s, 1 fresh database, median wait under 1 ms",
            ],
        ),
        (
            use(origin="attached", ready_s=0.0, waits={1.25: 2}, kept=True, kept_failed=True),
            [
                "fake: fake:1 attached in 0.50 s",
                "  2 fresh databases, median wait 1.25 s",
                f"  kept {KEPT_AS}",
            ],
        ),
        (
            use(origin="attached", ready_s=0.0, kept_failed=True),
            ["fake: fake:1 attached in 0.50 s", f"  kept for the tests that failed {KEPT_AS}"],
        ),
    ],
)
def test_summary_line_of_a_server(
    monkeypatch: pytest.MonkeyPatch, told: Use, lines: list[str]
) -> None:
    monkeypatch.setattr("pytest_ldb.plugin.usage.find_spec", lambda _: None)
    assert list(summary_lines(told)) == lines
