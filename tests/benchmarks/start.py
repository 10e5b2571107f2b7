"""How fast a run starts, until the first test has its server, compared with peers.

  start.py                                           all of it; takes half an hour
  start.py --rounds 1 --case postgres floor          a quick trial
  start.py --json FILE --plot FILE                   all figures, and a picture

The lines of a case run in turns, in every round in another order. Everything runs on the same
images. pytest-ldb and each peer are installed into environments of their own, as users get them,
with the same pytest. Peers are used as their documentation shows.

  postgres, mysql, mongodb, redis, all   whole processes with one test: from spawning pytest to the
                      first line of the test; `all` is one test that uses four servers. Cold:
                      as if for the first time. Cached: from the cache of an earlier run.
                      Kept: on a server that an earlier run has kept. And from the end of the
                      teardown (or of the test) until the process has ended
  floor               one server within a process: `Session.lease` of pytest-ldb, and the calls of
                      the engine's API and the readiness check that it needs
  workers             with -n 1, 2, 4, 8: to the first line of the test of the last worker

The claims are in ratios and differences of medians. Needs the command `docker`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from start_claims import ALL, FLOOR, WORKERS
from start_plot import drawn
from start_projects import DATABASES, IMAGES, OURS, PEERS, REMEMBERED
from start_report import judged, seen, shown
from start_runs import COLD, KEPT, SNAPSHOT, Floor, Line, StartWorkshop, Whole
from workshop import Failed, about, opened, say

ROUNDS = 7
CASES = (*DATABASES, ALL, FLOOR, WORKERS)
NUMBERS = (1, 2, 4, 8)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the status is 1 if something of ours could not be measured."""
    options = _options(arguments)
    cases = {name: list(_lines(name)) for name in options.case}
    found: dict[str, Any] = {}
    with opened(StartWorkshop, options.venvs) as workshop:
        found["about"] = _about(workshop, options.rounds)
        try:
            for lines in cases.values():
                _measure(workshop, lines, options.rounds)
        except KeyboardInterrupt:
            say("interrupted; what there is so far:")
            found["interrupted"] = True
    lines = [line for some in cases.values() for line in some]
    found |= {"lines": [seen(line) for line in lines], "claims": judged(lines)}
    print("\n".join(shown(found, lines)))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    if options.plot:
        compared = [line for line in lines if line.case in DATABASES or line.case == ALL]
        options.plot.write_text(drawn(compared, _subtitle(found["about"])))
    if "interrupted" in found:
        return 130
    return int(any(line.failed for line in lines if line.project is OURS))


def _measure(workshop: StartWorkshop, lines: list[Line], rounds: int) -> None:
    """Run all lines of a case in turns; remove kept servers at the end."""
    for number in range(rounds):
        turn = number % len(lines)
        for line in (*lines[turn:], *lines[:turn]):
            line.run(workshop)
    workshop.clear()


def _lines(case: str) -> Iterator[Line]:
    if case == FLOOR:
        yield from (Floor(case, name, COLD) for name in DATABASES)
        yield from (Floor(case, name, SNAPSHOT) for name in REMEMBERED)
    elif case == WORKERS:
        yield from (Whole(case, name, workers=n) for n in NUMBERS for name in ("postgres", ""))
    else:
        names = DATABASES if case == ALL else (case,)
        servers = "+".join(names)
        yield Whole(case, "")
        modes = (KEPT, SNAPSHOT, COLD) if set(names) & set(REMEMBERED) else (KEPT, COLD)
        yield from (Whole(case, servers, mode) for mode in modes)
        yield from (Whole(case, servers, of=p) for p in PEERS if set(names) <= set(p.databases))


def _about(workshop: StartWorkshop, rounds: int) -> dict[str, Any]:
    """Return what a figure depends on, with the versions of everything that is compared."""
    versions = {"pytest": version("pytest")}
    for project in (OURS, *PEERS):
        with suppress(Failed):  # its lines say why
            versions[project.name] = workshop.version(project, project.name)
    versions["docker"] = workshop.version(OURS, "docker")
    return about(**versions, rounds=rounds, images=" ".join(IMAGES.values()))


def _subtitle(facts: dict[str, Any]) -> str:
    return f"{facts['cores']} cores, Docker {facts['engine']}, {facts['at'][:10]}"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--case", nargs="+", choices=CASES, default=CASES, metavar="NAME", help=", ".join(CASES))
    add("--rounds", type=int, default=ROUNDS, help=f"how often each line runs: {ROUNDS}")
    add("--json", type=Path, metavar="FILE", help="write all figures there too")
    add("--plot", type=Path, metavar="FILE", help="draw a picture there, in SVG")
    add("--venvs", type=Path, metavar="DIR", help="keep the environments of peers there")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
