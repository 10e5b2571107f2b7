"""Figures and tables of the measurements of fresh.py."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from fresh_contestants import CONTESTANTS, HAND, ON_POSTGRES, Contestant
from fresh_measure import Process
from fresh_runs import FreshWorkshop
from workshop import Failed, say

COLUMNS = {
    "wait": "wait",
    "wait_to_hand": "/hand",
    "wait_mean": "mean",
    "wait_q95": "q95",
    "answer": "answer",
    "answer_to_hand": "/hand",
    "teardown": "teardown",
    "rest": "rest",
    "rest_to_hand": "/hand",
    "per_s": "db/s",
    "per_s_later": "later",
    "tests": "tests",
}
DIGITS = {"tests": 0, "per_s": 1, "per_s_later": 1}
NAMES = 23
CELLS = 9


@dataclass
class Case:
    """One line of the tables: a contestant, a body, a number of processes."""

    contestant: Contestant
    body_ms: float
    processes: int
    seen: list[list[Process]] = field(default_factory=list)
    failed: str = ""

    def run(self, workshop: FreshWorkshop, tests: int) -> None:
        """Run some of its tests; a failed case is not retried."""
        if self.failed:
            return
        say(f"{self.contestant.name}, body {self.body_ms:g} ms, {self.processes} process(es) …")
        try:
            self.seen.append(
                workshop.measure(
                    self.contestant,
                    tests=tests,
                    body_s=self.body_ms / 1000,
                    processes=self.processes,
                )
            )
        except Failed as failure:
            self.failed = str(failure)

    def result(self) -> dict[str, Any]:
        """Return the results, with times in milliseconds."""
        known: dict[str, Any] = {
            "contestant": self.contestant.name,
            "body_ms": self.body_ms,
            "processes": self.processes,
            "failed": self.failed,
        }
        return known if self.failed else known | self._figures()

    def _figures(self) -> dict[str, float]:
        samples = [sample for run in self.seen for process in run for sample in process.samples]
        wall_s = sum(max(p.ended for p in run) - min(p.began for p in run) for run in self.seen)
        waits = [(sample.given - sample.asked) * 1000 for sample in samples]
        return {
            "tests": len(samples),
            "wait": statistics.median(waits),
            "wait_mean": statistics.fmean(waits),
            "wait_q95": q95(waits),
            "answer": statistics.median((s.answered - s.asked) * 1000 for s in samples),
            "teardown": statistics.median((s.gone - s.left) * 1000 for s in samples),
            # Each of two workers has half of the tests.
            "rest": wall_s * 1000 * self.processes / len(samples) - self.body_ms,
            "per_s": len(samples) / wall_s,
            "per_s_later": sum(map(_later, self.seen)) / len(self.seen),
        }


def _later(run: Sequence[Process]) -> float:
    """Return the databases per second of the second half, when the queue is used up."""
    over = sorted(sample.gone for process in run for sample in process.samples)
    half = len(over) // 2
    since = over[half - 1] if half else min(process.began for process in run)
    return (len(over) - half) / (over[-1] - since)


def q95(values: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return statistics.quantiles(values, n=20, method="inclusive")[-1] if values[1:] else values[0]


def with_ratios(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the ratio to the fixture written by hand with the same body and processes."""
    by_hand = {
        (result["processes"], result["body_ms"]): result
        for result in results
        if result["contestant"] == HAND.name and "wait" in result
    }
    on_postgres = {contestant.name for contestant in ON_POSTGRES}
    for result in results:
        hand = by_hand.get((result["processes"], result["body_ms"]))
        if hand and "wait" in result and result["contestant"] in on_postgres:
            for name in ("wait", "answer", "rest"):
                result[f"{name}_to_hand"] = result[name] / hand[name]
    return results


def shown(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the tables."""
    yield " · ".join(f"{name} {value}" for name, value in found["about"].items())
    groups = groupby(found["cases"], lambda result: (result["processes"], result["body_ms"]))
    for (processes, body_ms), results in groups:
        many = f"-n {processes}" if processes > 1 else "one process"
        yield f"\n{many}, bodies sleep {body_ms:g} ms; times in milliseconds"
        yield f"{'':{NAMES}}" + "".join(f"{title:>{CELLS}}" for title in COLUMNS.values())
        yield from map(_line, results)
    yield from _notes(dict.fromkeys(result["contestant"] for result in found["cases"]))
    if "on_demand" in found:
        yield "\none database on demand, without a queue, in turns; times in milliseconds"
        yield "  ".join(_value(name, value) for name, value in found["on_demand"].items())
    for run in found.get("long", []):
        yield from ("", *_long(run))


def _notes(names: Iterable[str]) -> Iterator[str]:
    notes = [(name, CONTESTANTS[name].note) for name in names if CONTESTANTS[name].note]
    yield from ("", *(f"{name}: {note}" for name, note in notes)) if notes else ()


def _line(result: dict[str, Any]) -> str:
    name = f"{result['contestant']:{NAMES}}"
    if failed := str(result["failed"]):
        return f"{name}failed: " + failed.replace("\n", f"\n{'':{NAMES}}")
    cells = (_cell(column, result.get(column)) for column in COLUMNS)
    return name + "".join(f"{cell:>{CELLS}}" for cell in cells)


def _cell(column: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.{DIGITS.get(column, 2)}f}"


def _value(name: str, value: Any) -> str:
    return f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}"


def _long(found: dict[str, Any]) -> Iterator[str]:
    if found["failed"]:
        yield f"{found['contestant']}: failed: {found['failed']}"
        return
    yield (
        f"{found['contestant']}: {found['tests']} tests in a row, {found['per_s']:.1f} db/s; "
        f"median wait {found['first_waits_ms']:.2f} ms of the first tenth, "
        f"{found['last_waits_ms']:.2f} ms of the last; longest {found['longest_wait_ms']:.1f} ms"
    )
    for name, title in (("data", "data in memory"), ("all", "memory of the container")):
        values = [sample[name] for sample in found["memory_mib"]] or [math.nan]
        yield (
            f"    {title}: first {values[0]:.0f} MiB, most {max(values):.0f}, "
            f"last {values[-1]:.0f} ({len(values)} samples)"
        )
