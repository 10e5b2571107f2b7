"""What a run tells: the lines that people read."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_ldb.reporting import header


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
def test_the_header_says_what_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], line: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://there:2375")
    pytest.LineMatcher([header(given, chosen_engine=False)]).fnmatch_lines([line])


def test_the_header_does_not_guess_an_engine_that_a_hook_chooses() -> None:
    assert header({}, chosen_engine=True) == "ldb: engine chosen by pytest_ldb_runtime"


def test_the_header_admits_that_the_engine_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONTEXT", "nobody-made-this-one")
    assert header({}, chosen_engine=False) == "ldb: engine unknown"
