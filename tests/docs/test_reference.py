"""The reference is complete and has no obsolete entries."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Callable

import pytest

from pytest_ldb import (
    Addresses,
    ClientProgram,
    Database,
    DatabaseType,
    Exchange,
    Instance,
    Lifecycle,
    LogFormat,
    Operations,
    Reset,
    Server,
    ServerProgram,
)
from pytest_ldb.databases import BUILTIN
from pytest_ldb.model import errors
from pytest_ldb.plugin import hookspecs
from pytest_ldb.plugin.usage import STARTED

from .conftest import Reader
from .pages import PAGES, ROOT, rows

COMMAND = "docs/reference/command.md"
FIXTURES = "docs/reference/fixtures.md"
REPORT = "docs/reference/report.md"
TYPES = "docs/reference/database-types.md"
EVERYTHING = "\n".join(page.read_text() for page in PAGES if page.name != "CHANGELOG.md")
"""The changelog is excluded because it has names of earlier versions."""
GROUPS = (ServerProgram, ClientProgram, Operations, Reset, LogFormat, Addresses)
ADDED_BY_EXAMPLES = ("postgres17",)


@pytest.fixture
def manual(reader: Reader) -> str:
    """What ``pytest --help`` says, on one line."""
    answer = reader(".", "pytest --help")
    assert answer.status == 0, answer.output
    return " ".join(answer.output.split())


def test_options_table_matches_the_help(manual: str) -> None:
    flags = set(re.findall(r"(?<!no-)(?<=--)ldb-[a-z-]+(?==|,| )", manual))
    places = re.findall(r"Environment: (LDB_\w+), ini: (ldb_\w+)", manual)
    table = [row[:3] for row in rows("docs/reference/options.md", "Command line")]
    assert {flag.removeprefix("--") for flag, _, _ in table} == {f for f in flags if f != "ldb-"}
    assert {(variable, ini) for _, variable, ini in table} == set(places)


def test_readme_options_match_the_help(manual: str) -> None:
    table = list(rows("README.md", "Option"))
    assert len(table) == len(list(rows("docs/reference/options.md", "Command line")))
    for option, meaning in table:
        assert option.replace(" ", "=") in manual
        assert meaning.removesuffix(".") in manual


def test_mentioned_options_exist(manual: str) -> None:
    for option in re.findall(r"--(?:no-)?ldb-[a-z-]+[a-z]", EVERYTHING):
        assert option in manual


def test_mentioned_variables_exist(manual: str) -> None:
    names = [database_type.name for database_type in BUILTIN] + list(ADDED_BY_EXAMPLES)
    known = set(re.findall(r"Environment: (LDB_\w+)", manual))
    known |= {f"LDB_{name.upper()}_{what}" for name in names for what in ("IMAGE", "URL")}
    known |= {"LDB_HOME"}  # in the container
    assert set(re.findall(r"\bLDB_[A-Z0-9_]*[A-Z0-9]", EVERYTHING)) <= known


def test_every_fixture_is_documented(reader: Reader) -> None:
    answer = reader("projects/none", "pytest --fixtures")
    there = re.findall(r"^(ldb\w*)(?: \[.*\])? -- .*\n    \S", answer.output, re.MULTILINE)
    named = [row[0] for row in rows(FIXTURES, "Fixture")]
    assert sorted(there) == sorted(name for name in named if "<name>" not in name)


def test_every_database_attribute_is_documented() -> None:
    named = ", ".join(row[0].partition("(")[0] for row in rows(FIXTURES, "Attribute"))
    assert sorted(named.split(", ")) == sorted(_public(Database))


def test_every_lifecycle_command_is_documented() -> None:
    named = [row[0].partition("(")[0] for row in rows(FIXTURES, "Command")]
    assert sorted(named) == sorted(_public(Lifecycle) - {"close"})


def test_every_server_member_is_documented() -> None:
    cells = ", ".join(row[0] for row in rows(FIXTURES, "Member")).replace("()", "")
    assert sorted(cells.split(", ")) == sorted(_public(Server) | {"instance"})


def test_every_cli_command_has_a_section(reader: Reader) -> None:
    listed = reader("projects/none", "pytest-ldb --help").output.partition("Commands:")[2]
    headings = re.findall(r"^## (\w+)$", (ROOT / COMMAND).read_text(), re.MULTILINE)
    assert headings == re.findall(r"^  (\w+)  ", listed, re.MULTILINE)


def test_every_key_of_list_json_is_documented(reader: Reader) -> None:
    commands = "pytest-ldb create redis >created 2>&1; pytest-ldb list --json"
    (server,) = json.loads(reader("projects/none", commands).output)
    assert sorted(row[0] for row in rows(COMMAND, "Key")) == sorted(server)


def test_every_instance_field_is_documented() -> None:
    text = (ROOT / FIXTURES).read_text()
    assert [f.name for f in dataclasses.fields(Instance) if f"`{f.name}`" not in text] == []


def test_environment_variables_match_the_types() -> None:
    named = {name: variables.split(", ") for name, variables in rows(FIXTURES, "Type | Variables")}
    assert named == {
        database_type.name: list(database_type.addresses.env) for database_type in BUILTIN
    }


def test_drivers_match_the_types() -> None:
    named = {name: drivers.split(", ") for name, drivers in rows(FIXTURES, "Type | Drivers")}
    assert named == {
        database_type.name: list(database_type.addresses.drivers) for database_type in BUILTIN
    }


def test_every_hook_has_a_heading_with_its_arguments() -> None:
    text = (ROOT / "docs/reference/hooks.md").read_text()
    hooks = [name for name in vars(hookspecs) if name.startswith("pytest_ldb_")]
    headings = re.findall(r"^## `(\w+)\((.+)\)`$", text, re.MULTILINE)
    assert sorted(name for name, _ in headings) == sorted(hooks)
    for name, arguments in headings:
        assert tuple(arguments.split(", ")) == _arguments(getattr(hookspecs, name))


def test_every_error_is_documented() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    there = [cls.__name__ for cls in classes if cls.__module__ == errors.__name__]
    assert [row[0] for row in rows("docs/reference/errors.md", "Error")] == there


def test_types_table_matches_the_builtin_types() -> None:
    named = [row[1:4] for row in rows(TYPES, "Value")]
    assert named == [
        [database_type.name, ", ".join(database_type.aliases), database_type.image]
        for database_type in BUILTIN
    ]


def test_every_database_type_field_is_documented() -> None:
    text = (ROOT / TYPES).read_text()
    sections = dict(re.findall(r"^##+ `(\w+)`\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL))
    for declaration in (DatabaseType, Exchange, *GROUPS):
        rows_there = re.findall(r"^\| `(\w+)` \|", sections[declaration.__name__], re.MULTILINE)
        assert rows_there == [field.name for field in dataclasses.fields(declaration)]


def test_every_report_key_is_documented(reader: Reader) -> None:
    answer = reader("projects/first", "pytest --ldb-report report.json && cat report.json")
    (server,) = json.loads(answer.output[answer.output.index("{") :])["servers"]
    assert [row[0] for row in rows(REPORT, "Key")] == list(server)


def test_every_server_origin_is_documented() -> None:
    assert {row[0] for row in rows(REPORT, "Word")} == {*STARTED, "attached", "existing"}


def _public(cls: type) -> set[str]:
    fields = {f.name for f in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else set()
    return {name for name in (*fields, *vars(cls)) if not name.startswith("_")}


def _arguments(hook: Callable[..., object]) -> tuple[str, ...]:
    return tuple(inspect.signature(hook).parameters)
