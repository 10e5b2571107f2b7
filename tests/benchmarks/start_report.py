"""Tables of the measurements of start.py."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from start_claims import EMPTY, FLOOR, UNKNOWN, WORKERS, Figures, claims
from start_projects import PEERS
from start_runs import Line, Whole

Row = Sequence[str]

WHOLE = ("", "first test, s", "after an empty run's, ms", "over to exit, ms", "test to exit, ms")
OF_WORKERS = (
    "workers",
    "first test of the last, s",
    "of an empty run, s",
    "difference, ms",
    "to -n 1",
)
BESIDE_FLOOR = ("server", "ours, s", "floor, s", "ours / floor")


def shown(found: dict[str, Any], lines: Sequence[Line]) -> Iterator[str]:
    """Yield the report in Markdown: medians, and the fastest and slowest in parentheses."""
    yield " · ".join(f"{name} {value}" for name, value in found["about"].items())
    figures = Figures(lines)
    for case, group in groupby(lines, key=lambda line: line.case):
        some = list(group)
        measured = [line for line in some if line.times]
        yield f"\n{case}\n"
        if case == FLOOR:
            yield from _table(BESIDE_FLOOR, _floor_rows(measured))
        elif case == WORKERS:
            yield from _table(OF_WORKERS, _worker_rows(measured, figures))
        else:
            yield from _table(WHOLE, _whole_rows(measured, figures))
        yield from (f"\n{line.name} failed: {line.failed}" for line in some if line.failed)
    yield "\nclaims\n"
    known = [claim for claim in found["claims"] if claim["verdict"] != UNKNOWN]
    yield from _table(tuple(found["claims"][0]), (tuple(claim.values()) for claim in known))
    if unknown := len(found["claims"]) - len(known):
        yield f"\n{unknown} more: {UNKNOWN}"
    names = {line.project.name for line in lines}
    notes = [f"* {peer.name}: {peer.note}" for peer in PEERS if peer.note and peer.name in names]
    yield from ("", *notes) if notes else ()


def judged(lines: Iterable[Line]) -> list[dict[str, str]]:
    """Return the results of all claims."""
    figures = Figures(lines)
    return [claim.judged(figures) for claim in claims()]


def seen(line: Line) -> dict[str, Any]:
    """Return all measurements of a line, for JSON."""
    return {"case": line.case, "name": line.name, "failed": line.failed, "seconds": line.times}


def _whole_rows(lines: Iterable[Line], figures: Figures) -> Iterator[Row]:
    for line in lines:
        later = figures.beyond_empty(line.case, line.name) if line.name != EMPTY else 0
        ends = (_spread(line.times[what], 1000, 0) for what in ("end", "leave"))
        yield (line.name, _spread(line.times["first"]), f"{later:.0f}", *ends)


def _worker_rows(lines: Iterable[Line], figures: Figures) -> Iterator[Row]:
    by_name = {line.name: line for line in lines if isinstance(line, Whole)}
    numbers = sorted({line.workers for line in by_name.values()})
    for number in numbers:
        some = [by_name[Whole(WORKERS, name, workers=number).name] for name in ("postgres", "")]
        later = figures.of_workers(number)
        to_one = later / figures.of_workers(numbers[0])
        yield (
            f"-n {number}",
            *(_spread(line.times["first"]) for line in some),
            f"{later * 1000:.0f}",
            f"{to_one:.2f}",
        )


def _floor_rows(lines: Iterable[Line]) -> Iterator[Row]:
    for line in lines:
        ours, floor = line.times["ours"], line.times["floor"]
        ratios = [mine / least for mine, least in zip(ours, floor, strict=True)]
        ratio = statistics.median(ours) / statistics.median(floor)
        yield (
            line.name,
            _spread(ours),
            _spread(floor),
            f"{ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        )


def _spread(values: Sequence[float], scale: float = 1, digits: int = 2) -> str:
    low, middle, high = (
        f"{pick(values) * scale:.{digits}f}" for pick in (min, statistics.median, max)
    )
    return f"{middle} ({low} to {high})"


def _table(titles: Row, rows: Iterable[Row]) -> Iterator[str]:
    yield _row(titles)
    yield _row(["---"] * len(titles))
    yield from map(_row, rows)


def _row(cells: Row) -> str:
    return f"| {' | '.join(cells)} |"
