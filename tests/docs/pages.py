"""Parser for the pages of the documentation.

A fenced block may have a comment on the line above it, with parts that semicolons separate:

* ``file: PATH`` the block equals this file; the path is relative to ``docs/examples``
* ``in: FOLDER`` the block is run in a copy of this folder of ``docs/examples``, and succeeds
* ``fails`` ... and does not succeed
* ``not run: REASON`` it needs something a test does not have, or would change the machine

A block of ``text`` is output of the commands before it; ``…`` stands for anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))

_FENCED = re.compile(
    r"(?:^<!-- (?P<note>.+?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        page: Where it is.
        line: The line of its opening fence.
        language: What follows the fence.
        text: The content.
        note: The parts of the comment above it.
    """

    page: Path
    line: int
    language: str
    text: str
    note: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_run(self) -> bool:
        """Whether the block is a list of commands that a test runs."""
        return self.language == "sh" and "in" in self.note


def blocks() -> list[Block]:
    """Return all blocks of all pages, in order."""
    return [block for page in PAGES for block in _blocks_of(page)]


def outputs(block: Block) -> list[Block]:
    """Return the blocks of output that belong to a block of commands."""
    following = [other for other in _blocks_of(block.page) if other.line > block.line]
    ends = next((i for i, other in enumerate(following) if other.language != "text"), None)
    return following[:ends]


def links(page: Path) -> list[str]:
    """Return the targets of all links of a page that lead into this repository."""
    text = _FENCED.sub("", page.read_text())
    targets: list[str] = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target for target in targets if "://" not in target]


def rows(page: str, heading: str) -> Iterator[list[str]]:
    """Yield the cells of the table whose first column has this heading, without backticks."""
    lines = iter((ROOT / page).read_text().splitlines())
    for line in lines:
        if line.startswith(f"| {heading} |"):
            next(lines)
            break
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]


def _blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(
            page,
            text.count("\n", 0, match.start("language")) + 1,
            match["language"],
            match["text"],
            _parts(match["note"] or ""),
        )
        for match in _FENCED.finditer(text)
    ]


def _parts(note: str) -> dict[str, str]:
    pairs = [part.partition(":") for part in note.split(";") if part.strip()]
    return {name.strip(): value.strip() for name, _, value in pairs}
