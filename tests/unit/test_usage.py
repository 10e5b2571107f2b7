"""Merging the usage records of processes."""

from __future__ import annotations

import re
from dataclasses import asdict
from importlib.metadata import requires
from itertools import permutations
from typing import Any

import pytest

from pytest_ldb.plugin import usage
from pytest_ldb.plugin.usage import Use, added_up


def use(**changes: Any) -> Use:
    values = {
        "type": "fake",
        "name": "shop-1-fake-2",
        "image": "fake:1",
        "origin": "created",
        "start_s": 0.5,
        "ready_s": 1.5,
        **changes,
    }
    return Use(**values)


def told(*uses: Use) -> list[dict[str, Any]]:
    return [asdict(one) for one in uses]


@pytest.mark.parametrize("origin", ["created", "restored", "restarted"])
def test_origin_comes_from_the_starting_process(origin: str) -> None:
    starter = use(origin=origin, start_s=2.0, ready_s=3.0, processes=0)
    others = [use(origin="attached"), use(origin="attached")]
    for order in permutations([starter, *others]):
        (known,) = added_up(told(*order))
        assert (known.origin, known.start_s, known.ready_s) == (origin, 2.0, 3.0)
        assert known.processes == 2


@pytest.mark.parametrize(("others", "ready_s"), [([], None), ([0.2, 1.25, 0.7], 1.25)])
def test_ready_time_comes_from_waiting_processes(
    others: list[float], ready_s: float | None
) -> None:
    starter = use(ready_s=None, processes=0)
    for order in permutations([starter, *(use(origin="attached", ready_s=s) for s in others)]):
        (known,) = added_up(told(*order))
        assert (known.origin, known.start_s, known.ready_s) == ("created", 0.5, ready_s)


def test_usage_records_are_merged() -> None:
    (known,) = added_up(
        told(
            use(origin="attached", waits={0.1: 2}, templates_s=[0.5]),
            use(waits={0.1: 1, 0.3: 4}, pull_s=7.0),
            use(origin="attached", pull_s=6.5, templates_s=[0.25], kept_failed=True),
        )
    )
    assert known.waits == {0.1: 3, 0.3: 4}
    assert (known.fresh_databases, known.median_wait_s) == (7, 0.3)
    assert known.templates_s == [0.5, 0.25]
    assert known.pull_s == 7.0
    assert known.kept_failed


def test_servers_are_separate_and_ordered() -> None:
    names = [("redis", "b"), ("mysql", "z"), ("redis", "a"), ("redis", "b")]
    known = added_up(told(*(use(type=database_type, name=name) for database_type, name in names)))
    assert [(one.type, one.name) for one in known] == [
        ("mysql", "z"),
        ("redis", "a"),
        ("redis", "b"),
    ]
    assert known[2].processes == 2


@pytest.mark.parametrize(
    ("waits", "median"),
    [({}, None), ({0.2: 1}, 0.2), ({0.3: 1, 0.1: 1, 0.2: 1}, 0.2), ({0.1: 9, 5.0: 8}, 0.1)],
)
def test_median_covers_all_waits(waits: dict[float, int], median: float | None) -> None:
    assert use(waits=waits).median_wait_s == median


@pytest.mark.parametrize(
    ("absent", "command"),
    [
        ("", "pytest-ldb delete shop-1-fake-2"),
        ("click", "docker rm -fv ldb-shop-1-fake-2"),
        ("rich", "docker rm -fv ldb-shop-1-fake-2"),
    ],
)
def test_only_a_kept_server_has_a_delete_command(
    monkeypatch: pytest.MonkeyPatch, absent: str, command: str
) -> None:
    monkeypatch.setattr(usage, "find_spec", lambda name: None if name == absent else name)
    assert use().ended_by == ""
    assert use(kept=True).ended_by == use(kept_failed=True).ended_by == command


def test_delete_command_depends_on_the_cli_extra() -> None:
    brought = [text for text in requires("pytest-ldb") or () if "extra == 'cli'" in text]
    assert sorted(re.split(r"\W", text)[0] for text in brought) == sorted(usage.COMMAND_NEEDS)
