"""Claims of the documentation about start times, compared with measurements."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from start_projects import DATABASES, OURS, REMEMBERED
from start_runs import COLD, KEPT, SNAPSHOT, Line, Mode, Whole

ALL = "all"
FLOOR = "floor"
WORKERS = "workers"
UNKNOWN = "not measured"


class Unknown(Exception):
    """Something that was not measured."""


class Figures:
    """The medians of all lines, by case, line and what was measured; in seconds."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._times = {(line.case, line.name): line.times for line in lines}

    def median(self, case: str, name: str, what: str = "first") -> float:
        """Return the median.

        Raises:
            Unknown: It was not measured.
        """
        try:
            return statistics.median(self._times[case, name][what])
        except KeyError:
            raise Unknown from None

    def ours(self, case: str, mode: Mode, what: str = "first") -> float:
        """Return the median of ours."""
        return self.median(case, f"{OURS.name}, {mode.name}", what)

    def beyond_empty(self, case: str, name: str, what: str = "first") -> float:
        """Return how much more it is than where no test asks for anything, in milliseconds."""
        return 1000 * (self.median(case, name, what) - self.median(case, EMPTY, what))

    def of_workers(self, number: int) -> float:
        """Return how much longer the last of some workers waits than if no test asks."""
        cold, empty = (
            Whole(WORKERS, database, workers=number).name for database in ("postgres", "")
        )
        return self.median(WORKERS, cold) - self.median(WORKERS, empty)

    def of_eight(self) -> float:
        """Return how many times that of a single worker the last of eight waits."""
        return self.of_workers(8) / self.of_workers(1)

    def to_floor(self, database: str, mode: Mode) -> float:
        """Return how many times the least that a server takes."""
        name = f"{database}, {mode.name}"
        return self.median(FLOOR, name, "ours") / self.median(FLOOR, name, "floor")

    def all_to_slowest(self, mode: Mode) -> float:
        """Return how much longer four servers take than the slowest of them alone."""
        slowest = max(self.ours(name, mode if name in REMEMBERED else COLD) for name in DATABASES)
        return self.ours(ALL, mode) / slowest

    def to_cached(self, peer: str) -> float:
        """Return the ratio of a peer to PostgreSQL from the cache."""
        return self.median("postgres", peer) / self.ours("postgres", SNAPSHOT)


EMPTY = Whole("", "").name


@dataclass(frozen=True)
class Claim:
    """A claim.

    Args:
        text: What it is about.
        sign: ``<=`` or ``>=``.
        limit: What it is compared with.
        unit: Of the limit.
        value: What was measured.
    """

    text: str
    sign: str
    limit: float
    unit: str
    value: Callable[[Figures], float]

    def judged(self, figures: Figures) -> dict[str, str]:
        """Return the result of the comparison."""
        row = {"claim": self.text, "limit": f"{self.sign} {self.limit:g} {self.unit}"}
        try:
            value = self.value(figures)
        except Unknown:
            return {**row, "measured": "-", "verdict": UNKNOWN}
        kept = value >= self.limit if self.sign == ">=" else value <= self.limit
        measured = f"{value:.{0 if self.unit == 'ms' else 2}f} {self.unit}"
        return {**row, "measured": measured, "verdict": "ok" if kept else "short"}


def claims() -> Iterator[Claim]:
    """Yield all of them."""
    for mode, usual in ((COLD, 1.15), (SNAPSHOT, 1.25)):
        for name in DATABASES if mode is COLD else REMEMBERED:
            limit = 1.3 if name == "redis" else usual
            value = partial(Figures.to_floor, database=name, mode=mode)
            yield Claim(f"{name}, {mode.name}: to the floor", "<=", limit, "times", value)
    for peer, least in (("testcontainers", 4.0), ("pytest-databases", 4.0), ("pytest-pg", 2.0)):
        value = partial(Figures.to_cached, peer=peer)
        yield Claim(f"{peer}: to ours from the cache", ">=", least, "times", value)
    for mode in (COLD, SNAPSHOT):
        value = partial(Figures.all_to_slowest, mode=mode)
        yield Claim(f"all four, {mode.name}: to the slowest alone", "<=", 1.4, "times", value)
    for mode, what, words, limit in (
        (KEPT, "first", "first test, beyond an empty run", 60),
        (COLD, "end", "exit, beyond an empty run", 30),
    ):
        line = Whole("", "postgres", mode).name
        for name in DATABASES:
            value = partial(Figures.beyond_empty, case=name, name=line, what=what)
            yield Claim(f"{name}, {mode.name}: {words}", "<=", limit, "ms", value)
    yield Claim("last of 8 workers, cold: to a single one", "<=", 1.5, "times", Figures.of_eight)
