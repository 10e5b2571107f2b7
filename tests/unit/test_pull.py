"""Progress of a pull."""

from __future__ import annotations

from typing import Any

from pytest_ldb.engines.docker.pull import Pulling, PullProgress


class Clock:
    """A clock that advances by 1.5 s on each call."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        self.time += 1.5
        return self.time


def downloading(layer: str, total: int, **current: int) -> dict[str, Any]:
    detail = {"total": total, **current}
    return {"status": "Downloading", "id": layer, "progressDetail": detail}


def test_pull_progress_sums_the_layers() -> None:
    said: list[str] = []
    pulling = Pulling(PullProgress("postgres:18", said.append, Clock()).heard)
    for event in (
        {"status": "Pulling from library/postgres", "id": "18"},
        {"status": "Pulling fs layer", "progressDetail": {}, "id": "a"},
        {"status": "Already exists", "progressDetail": {}, "id": "z"},
        {"status": "Download complete", "progressDetail": {}, "id": "z"},
        downloading("a", 30_000_000, current=10_000_000),
        downloading("b", 70_000_000),  # The engine omits the field if it is zero.
        downloading("b", 70_000_000, current=35_000_000),
        {"status": "Download complete", "id": "a"},
        {"status": "Extracting", "id": "a", "progressDetail": {"current": 1, "total": 2}},
    ):
        pulling.take(event)
    assert said == [
        "pulling postgres:18",
        "pulling postgres:18: 10 of 30 MB",
        "pulling postgres:18: 10 of 100 MB",
        "pulling postgres:18: 45 of 100 MB",
        "pulling postgres:18: 65 of 100 MB",
        "pulling postgres:18: 65 of 100 MB",
    ]
    assert pulling.error == ""


def test_pull_progress_is_reported_once_a_second() -> None:
    said: list[str] = []
    times = iter([0.0, 0.5, 0.6, 1.2, 1.7, 1.7])
    pulling = Pulling(PullProgress("redis:8", said.append, lambda: next(times)).heard)
    for current in (1, 2, 3):
        pulling.take(downloading("a", 3_000_000, current=current * 1_000_000))
    assert said == [
        "pulling redis:8",
        "pulling redis:8: 1 of 3 MB",
        "pulling redis:8: 3 of 3 MB",
    ]


def test_pull_error_is_recorded() -> None:
    pulling = Pulling(lambda _done, _total: None)
    pulling.take({"error": "toomanyrequests", "errorDetail": {"message": "toomanyrequests"}})
    pulling.take({"status": "Waiting", "id": "a"})
    assert pulling.error == "toomanyrequests"
