"""Code blocks of the documentation are example files or tested commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import Reader
from .pages import EXAMPLES, PAGES, Block, blocks, links, outputs

BLOCKS = blocks()
RUN_BY_PAGES = {block.note["in"] for block in BLOCKS if block.is_run and "pytest" in block.text}
PROJECTS = sorted(
    path.name
    for path in (EXAMPLES / "projects").iterdir()
    if f"projects/{path.name}" not in RUN_BY_PAGES
)
ARGUMENTS = {"plugin": "-p pytest_ldb_pgvector"}


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_code_blocks_are_files_commands_or_output(block: Block) -> None:
    match block.language:
        case "python" | "ini" | "toml" | "sql" | "yaml":
            assert block.text == (EXAMPLES / block.note["file"]).read_text()
        case "sh" if "file" in block.note:
            assert block.text == (EXAMPLES / block.note["file"]).read_text()
        case "sh":
            assert block.is_run or block.note.get("not run"), (
                "the block is neither run nor marked as `not run`"
            )
        case "text":
            before = [b for b in BLOCKS if b.page == block.page and b.line < block.line]
            source = next(b for b in reversed(before) if b.language != "text")
            assert source.is_run, "this output belongs to commands that no test runs"
        case other:
            pytest.fail(f"a block of {other!r}, which no test knows")


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.is_run], ids=str)
def test_commands_produce_the_documented_output(block: Block, reader: Reader) -> None:
    commands = "set -e\n" + block.text
    answer = reader(block.note["in"], commands)
    assert (answer.status != 0) == ("fails" in block.note), answer.output
    for shown in outputs(block):
        lines = iter(answer.output.splitlines())
        for expected in filter(str.strip, shown.text.splitlines()):
            assert any(_agree(expected, line) for line in lines), f"{expected}\n\n{answer.output}"


def test_example_suite_passes_on_all_four_databases(reader: Reader) -> None:
    answer = reader(".", "pytest -n 2")
    assert answer.status == 0, answer.output
    used = re.findall(r"^(\w+): \S+ created in", answer.output, re.MULTILINE)
    assert used == ["mongodb", "mysql", "postgres", "redis"]


@pytest.mark.parametrize("project", PROJECTS)
def test_other_example_projects_pass_with_xdist(project: str, reader: Reader) -> None:
    answer = reader(f"projects/{project}", f"python -m pytest -n 2 {ARGUMENTS.get(project, '')}")
    assert answer.status == 0, answer.output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_link_targets_exist(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path) if path else page
        assert there.exists(), target
        assert not anchor or _has_heading(there.read_text(), anchor), target


def _agree(shown: str, real: str) -> bool:
    pattern = re.escape(_plain(shown)).replace("…", ".*")
    return re.fullmatch(pattern, _plain(real)) is not None


def _plain(line: str) -> str:
    """Return a line without numbers, widths, image locations and installed versions."""
    line = line.replace("localhost/pytest-ldb/", "")
    line = line.replace("`docker rm -fv ldb-", "`pytest-ldb delete ")
    line = re.sub(r"=+", "=", re.sub(r"-{3,}", "---", line))
    line = re.sub(r"\d+(\.\d+)*", "0", line)
    return " ".join(line.split())


def _has_heading(text: str, anchor: str) -> bool:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
