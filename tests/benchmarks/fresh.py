"""How long a test waits for a fresh database with 20 tables: pytest-ldb, by hand, and its peers.

  fresh.py                                                      all of it; takes half an hour
  fresh.py --tests 20 --bodies 0,25 --contestants ours,hand     a quick trial
  fresh.py --long --types postgres,redis                        2,000 tests in a row, and memory

Each contestant is a small project with the same tests. They run in turns, some of the tests at a
time, on the same image with the same settings: data in memory, no fsync. A test reads from its
database and sleeps. Peers have environments of their own, with the same pytest, xdist and psycopg.

  wait      from the first fixture of a test until it has its database with all tables: the
            median, the mean, and what 19 of 20 tests stay below
  answer    the same, until it has also connected and read; some peers connect while it waits
  teardown  until the fixtures have released the database
  rest      what one test took of the time of the whole loop, without the sleep in its body
  db/s      databases per second of the whole loop; and later, in its second half, when what was
            created in advance is used up
  /hand     how many times that of the fixture written by hand the figure before it is

Nothing is left out but the first test of each process, which starts the server. What cannot be
installed or fails is shown as failed. Needs the command `docker`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import fresh_long
import fresh_on_demand
from fresh_contestants import CONTESTANTS, ON_POSTGRES, OURS, OURS_BY_TYPE
from fresh_report import Case, q95, shown, with_ratios
from fresh_runs import FreshWorkshop
from workshop import Failed, about, opened, plugins, say

TESTS = 100
TESTS_WITHOUT_SLEEP = 300
TESTS_OF_OTHER_TYPES = 50
TESTS_IN_A_ROW = 2000
PAIRS = 50
ON_DEMAND = "on-demand"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the status is 1 if something failed that needs no installation."""
    options = _options(arguments)
    found: dict[str, Any] = {"about": _about(options)}
    cases = [] if options.long else _cases(options)
    with opened(FreshWorkshop, options.venvs) as workshop:
        try:
            _measure(workshop, options, cases, found)
        except KeyboardInterrupt:
            say("interrupted; what there is so far:")
            found["interrupted"] = True
    found["cases"] = with_ratios([case.result() for case in cases if case.seen or case.failed])
    print("\n".join(shown(found)))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    if "interrupted" in found:
        return 130
    ours = [case.failed for case in cases if not case.contestant.install]
    ours += [
        part.get("failed", "") for part in (*found.get("long", ()), found.get("on_demand", {}))
    ]
    return int(any(ours))


def _measure(
    workshop: FreshWorkshop, options: argparse.Namespace, cases: list[Case], found: dict[str, Any]
) -> None:
    """Run everything; an interruption keeps the results measured before."""
    if options.long:
        tests = options.tests or TESTS_IN_A_ROW
        for name in options.types:
            say(f"{tests} tests in a row on {name} …")
            run = fresh_long.long_run(workshop, OURS_BY_TYPE[name], tests)
            found.setdefault("long", []).append(run)
        return
    for processes, body_ms in product(options.processes, options.bodies):
        turn = [case for case in cases if (case.processes, case.body_ms) == (processes, body_ms)]
        for part in range(options.rounds):
            for case in turn[:: -1 if part % 2 else 1]:
                tests = options.tests or _usual_tests(case)
                case.run(workshop, math.ceil(tests / options.rounds))
    if ON_DEMAND in options.contestants:
        say(f"on demand, {options.pairs} in turns …")
        found["on_demand"] = _on_demand(workshop, options.pairs)


def _usual_tests(case: Case) -> int:
    if case.contestant not in ON_POSTGRES:
        return TESTS_OF_OTHER_TYPES
    return TESTS if case.body_ms else TESTS_WITHOUT_SLEEP


def _cases(options: argparse.Namespace) -> list[Case]:
    """Return the cases; with several processes only PostgreSQL is compared."""
    return [
        Case(CONTESTANTS[name], body_ms, processes)
        for processes, body_ms, name in product(
            options.processes, options.bodies, options.contestants
        )
        if name in CONTESTANTS and (processes == 1 or CONTESTANTS[name] in ON_POSTGRES)
    ]


def _on_demand(workshop: FreshWorkshop, pairs: int) -> dict[str, Any]:
    """Make databases one by one, by pytest-ldb and by hand, in turns in one session."""
    folder = workshop.new_folder(ON_DEMAND)
    OURS.write(folder, tests=0, body_s=0)
    shutil.copy(fresh_on_demand.__file__, folder / "test_waiting.py")
    (folder / fresh_on_demand.PAIRS).write_text(str(pairs))
    try:
        workshop.pytest(sys.executable, folder, plugins(*OURS.plugins), {})
    except Failed as failure:
        return {"failed": str(failure)}
    times = json.loads((folder / fresh_on_demand.TIMES).read_text())
    medians = {name: statistics.median(values) * 1000 for name, values in times.items()}
    return {
        "pairs": pairs,
        **{f"{name}_median": median for name, median in medians.items()},
        **{f"{name}_q95": q95(values) * 1000 for name, values in times.items()},
        "ratio": medians["ours"] / medians["hand"],
    }


def _about(options: argparse.Namespace) -> dict[str, Any]:
    return about(
        **{name: version(name) for name in ("pytest-ldb", "pytest", "psycopg")},
        image=os.environ.get("LDB_POSTGRES_IMAGE", "postgres:18"),
        rounds=options.rounds,
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    contestants = [*CONTESTANTS, ON_DEMAND]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--contestants",
        type=_some_of(contestants),
        default=contestants,
        help=", ".join(contestants),
    )
    add("--bodies", type=_numbers, default=[0, 5, 25], help="what bodies sleep, in ms: 0,5,25")
    add("--processes", type=_numbers, default=[1, 2], help="1,2: without xdist, and with -n 2")
    add(
        "--tests",
        type=int,
        help=f"{TESTS}; without a sleep {TESTS_WITHOUT_SLEEP}; of other types "
        f"{TESTS_OF_OTHER_TYPES}; with --long {TESTS_IN_A_ROW}",
    )
    add("--rounds", type=int, default=2, help="in how many parts the tests of each are run: 2")
    add("--pairs", type=int, default=PAIRS, help=f"how many databases on demand: {PAIRS}")
    add("--long", action="store_true", help="many tests in a row, pytest-ldb only")
    add(
        "--types",
        type=_some_of(list(OURS_BY_TYPE)),
        default=["postgres"],
        help="for --long: " + ", ".join(OURS_BY_TYPE),
    )
    add("--json", type=Path, metavar="FILE", help="write all figures there too")
    add("--venvs", type=Path, metavar="DIR", help="keep the environments of peers there")
    return parser.parse_args(arguments)


def _some_of(names: Sequence[str]) -> Callable[[str], list[str]]:
    def some(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := [name for name in chosen if name not in names]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(names)}")
        return chosen

    return some


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
