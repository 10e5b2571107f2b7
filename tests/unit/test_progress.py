"""Times at which the progress of slow operations is reported."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

from pytest_ldb.util import progress
from pytest_ldb.util.progress import Progress, telling


@dataclass
class Told:
    """A fake clock that records the reports."""

    time: float = 100.0
    awaited: bool = True
    moments: list[tuple[float, float]] = field(default_factory=list)

    def __call__(self, moment: float, seconds: float) -> bool:
        if self.awaited:
            self.moments.append((moment, seconds))
        return self.awaited

    def now(self) -> float:
        return self.time

    def look(self, progress: Progress, *seconds: float) -> None:
        for second in seconds:
            self.time = 100.0 + second
            progress.look()


def test_progress_is_reported_at_growing_intervals() -> None:
    told = Told()
    told.look(Progress(told, told.now), *range(200))
    assert told.moments == [(1, 1), (5, 5), (15, 15), (45, 45), (135, 135)]


def test_fast_operation_is_not_reported() -> None:
    told = Told()
    told.look(Progress(told, told.now), 0.0, 0.5, 0.99)
    assert told.moments == []


def test_missed_report_times_are_skipped() -> None:
    told = Told()
    told.look(Progress(told, told.now), 7.5, 8, 14, 16, 17)
    assert told.moments == [(5, 7.5), (15, 16)]


def test_delayed_report_is_made_as_soon_as_possible() -> None:
    told, progress = Told(awaited=False), None
    progress = Progress(told, told.now)
    told.look(progress, 1, 2, 3)
    told.awaited = True
    told.look(progress, 3.5, 4, 4.5, 5)
    assert told.moments == [(1, 3.5), (5, 5)]


def test_delayed_report_replaces_the_next_one() -> None:
    told = Told(awaited=False)
    progress = Progress(told, told.now)
    told.look(progress, 1, 2, 3, 4)
    told.awaited = True
    told.look(progress, 4.75, 5, 5.5, 14, 15)
    assert told.moments == [(1, 4.75), (15, 15)]


def test_progress_is_reported_only_inside_the_with_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST_S", 0.05)
    said: list[str] = []
    with telling("the setup runs", said.append):
        time.sleep(0.4)
    assert said == ["the setup runs, 0 s"]
    with telling("the setup runs", said.append):
        pass
    time.sleep(0.3)
    assert len(said) == 1
