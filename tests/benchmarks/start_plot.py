"""Draws how long it takes to the first test: horizontal bars, in SVG."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby

from start_projects import OURS
from start_runs import Line

WIDTH, LABELS, AFTER = 760, 210, 60
BAR, STEP, GAP, TOP = 14, 20, 34, 34
OURS_COLOUR, PEER_COLOUR, TEXT = "#2b6cb0", "#a0aec0", "#718096"


def drawn(lines: Iterable[Line], subtitle: str) -> str:
    """Return a picture with a group of bars for each case, each group to its own scale.

    A thin line goes from the best to the worst.
    """
    groups = [
        (case, [line for line in some if line.times.get("first")])
        for case, some in groupby(lines, key=lambda line: line.case)
    ]
    groups = [(case, some) for case, some in groups if some]
    body: list[str] = []
    y = TOP
    for case, some in groups:
        scale = (WIDTH - LABELS - AFTER) / max(max(line.times["first"]) for line in some)
        body += [_text(LABELS, y + BAR - 4, case, "start", bold=True)]
        y += STEP
        for line in some:
            body += _bar(line, y, scale)
            y += STEP
        y += GAP - STEP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" '
        f'height="{y}" font-family="sans-serif" font-size="12" role="img">'
    )
    title = _text(LABELS, 18, f"Seconds to the first test. {subtitle}", "start")
    return "\n".join((head, title, *body, "</svg>")) + "\n"


def _bar(line: Line, y: int, scale: float) -> Iterator[str]:
    times: Sequence[float] = line.times["first"]
    middle = statistics.median(times)
    low, high = (LABELS + pick(times) * scale for pick in (min, max))
    colour = OURS_COLOUR if line.project is OURS else PEER_COLOUR
    width = max(middle * scale, 1)
    yield _text(LABELS - 6, y + BAR - 3, line.name, "end")
    yield f'<rect x="{LABELS}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>'
    yield f'<path d="M{low:.1f} {y + BAR / 2}H{high:.1f}" stroke="{TEXT}" stroke-width="2"/>'
    yield _text(max(high, LABELS + width) + 6, y + BAR - 3, f"{middle:.2f}", "start")


def _text(x: float, y: float, text: str, anchor: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" fill="{TEXT}"{weight}>'
        f"{escape(text)}</text>"
    )
