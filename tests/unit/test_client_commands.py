"""Operations of a database type, run by programs and by a persistent client."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from pytest_ldb.model.database_type import ClientProgram, Operations, Reset
from pytest_ldb.model.errors import CommandFailed
from pytest_ldb.shell.client_commands import ClientStatement, DatabaseCommands
from pytest_ldb.shell.local import local_shell
from pytest_ldb.testing.processes import wait_until

from .conftest import FAKE

FOLDERS = replace(
    FAKE,
    server=replace(FAKE.server, numbered_databases=0),
    client=ClientProgram(argv=("sh",), mark="echo {mark}"),
    operations=Operations(
        create="mkdir {database}",
        clone="cp -r {template} {database}",
        drop='rm -rf "$LDB_HOME/{database}"',
        disconnect="ls {database} | sed s,^,rm\\ {database}/,",
        seal=("sh", "-c", 'touch "$LDB_HOME/$1/sealed"', "sh", "{database}"),
    ),
    reset=Reset(
        inspect="printf 'folder\\t%s\\n' {database}; ls {database} | sed 's/$/\\tfile/'",
        survey="echo \"echo 'template\t{template}'\"",
        repair="touch {database}/{thing}",
    ),
)
"""A type whose databases are folders and whose client is `sh`."""


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[DatabaseCommands]:
    shell = local_shell("folders", home=str(tmp_path / "home"), environment={})
    yield DatabaseCommands(FOLDERS, shell, {})
    shell.close()


def end_connection(commands: DatabaseCommands) -> None:
    """End the client while it is idle, as a server does that closes the connection."""
    pid = int(commands._statement("echo $$").ask())
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: _has_ended(pid), 5.0, "the client is still running")


def _has_ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def things(home: Path) -> set[str]:
    return {path.name for path in home.iterdir()} & {"one", "other"}


@pytest.mark.parametrize(
    "work",
    [
        lambda commands: commands.run(FOLDERS.operations.create, "other"),
        lambda commands: commands.run(FOLDERS.operations.clone, "other", template="one"),
        lambda commands: commands.disconnect("one"),
        lambda commands: commands.survey("one"),
        lambda commands: commands.inspect("one", ""),
        lambda commands: commands.repair("one", "thing", "other"),
    ],
    ids=["create", "clone", "disconnect", "survey", "inspect", "repair"],
)
def test_client_with_a_lost_connection_is_replaced(
    commands: DatabaseCommands, work: Callable[[DatabaseCommands], object]
) -> None:
    commands.run(FOLDERS.operations.create, "one")
    commands.run(FOLDERS.operations.seal, "one")
    end_connection(commands)
    work(commands)


def test_partially_created_database_is_dropped_first(
    commands: DatabaseCommands, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    once = f"[ -e {home}/died ] || {{ mkdir {{database}}; touch {home}/died; exit; }}"
    operations = replace(FOLDERS.operations, create=f"{once}; mkdir {{database}}")
    commands = replace(commands, database_type=replace(FOLDERS, operations=operations))
    commands.run(commands.database_type.operations.create, "one")
    assert things(home) == {"one"}


def test_second_lost_connection_is_an_error(commands: DatabaseCommands) -> None:
    with pytest.raises(CommandFailed, match="`sh` ended with status 69"):
        commands.inspect("one", "exit")


def test_client_output_is_an_error(commands: DatabaseCommands) -> None:
    commands.run(FOLDERS.operations.create, "one")
    with pytest.raises(CommandFailed, match="`sh` reports an error") as caught:
        commands.run(FOLDERS.operations.create, "one")
    assert "File exists" in caught.value.evidence


def test_client_output_about_connections_is_executed(commands: DatabaseCommands) -> None:
    commands.run(FOLDERS.operations.create, "one")
    commands.run(FOLDERS.operations.seal, "one")
    commands.disconnect("one")
    assert commands.inspect("one", "") == "folder\tone\n"


@pytest.mark.parametrize(
    ("inspect", "evidence"),
    [
        ("inspekt {database}", "inspekt"),
        ("printf 'a\\tb\\n'; inspekt; printf 'c\\td\\n'", "inspekt"),
        ("echo 'an error in one line'", "an error in one line"),
        ("true", "it wrote nothing"),
        ("exit", ""),
    ],
)
def test_inspection_that_fails_is_an_error(
    commands: DatabaseCommands, inspect: str, evidence: str
) -> None:
    database_type = replace(FOLDERS, reset=Reset(inspect=inspect))
    with pytest.raises(CommandFailed) as caught:
        replace(commands, database_type=database_type).inspect("one", "")
    assert evidence in caught.value.evidence


def test_what_a_survey_writes_is_run_as_it_is(commands: DatabaseCommands) -> None:
    commands.run(FOLDERS.operations.create, "one")
    surveyed = commands.survey("{database}")
    assert commands.inspect("one", surveyed) == "folder\tone\ntemplate\t{database}\n"


def test_name_of_a_thing_is_given_in_hexadecimal(commands: DatabaseCommands) -> None:
    reset = replace(FOLDERS.reset, repair="printf {thing_hex} >$LDB_HOME/name")
    database_type = replace(FOLDERS, reset=reset)
    replace(commands, database_type=database_type).repair("one", "it's `é`", "template")
    named = commands.shell.run(["sh", "-c", 'cat "$LDB_HOME/name"'])
    assert bytes.fromhex(named).decode() == "it's `é`"


@pytest.mark.parametrize(
    "drop",
    [FOLDERS.operations.drop, ("sh", "-c", 'rm -r "$LDB_HOME/$1"', "sh", "{database}")],
    ids=["statement", "command"],
)
def test_deferred_statement_runs_at_the_end_unless_cancelled(
    commands: DatabaseCommands, tmp_path: Path, drop: str | tuple[str, ...]
) -> None:
    for name in ("one", "other"):
        commands.run(FOLDERS.operations.create, name)
        commands.defer(drop, name)
    commands.cancel(drop, "one")
    commands.shell.close()
    home = tmp_path / "home"
    wait_until(lambda: things(home) == {"one"}, 5.0, "the database still exists")


@pytest.mark.parametrize("is_open", [True, False])
def test_deferred_statements_are_run_once_by_the_client_that_is_open(
    commands: DatabaseCommands, tmp_path: Path, is_open: bool
) -> None:
    who = tmp_path / "who"
    pid = commands._statement("echo $$").ask() if is_open else ""
    commands.defer(f"echo $$ >>{who}", "one")
    commands.shell.close()
    wait_until(who.exists, 5.0, "the statement was not run")
    farewell = tmp_path / "home" / "farewell"
    wait_until(lambda: not list(farewell.iterdir()), 5.0, "the shell has not ended")
    assert len(who.read_text().split()) == 1
    assert (who.read_text() == pid) is is_open


def test_empty_command_does_nothing(commands: DatabaseCommands) -> None:
    commands.run((), "one")
    commands.defer((), "one")
    commands.cancel((), "one")


def test_program_has_no_undo(commands: DatabaseCommands) -> None:
    operations = [
        commands._operation(command, "one", template="other")
        for command in (
            FOLDERS.operations.create,
            FOLDERS.operations.clone,
            FOLDERS.operations.drop,
        )
    ]
    undo = [isinstance(one, ClientStatement) and one.undo is not None for one in operations]
    assert undo == [True, True, False]
