"""Setups and their keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pytest_ldb.model.database import Database
from pytest_ldb.model.errors import InvalidRequest
from pytest_ldb.model.setup import Setup


def fill(database: Database) -> None:
    """Fill it."""


def fill_differently(database: Database) -> None:
    """Fill it in another way."""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "fill.sql"
    path.write_text("CREATE TABLE t ()")
    return path


def test_setup_fixture_can_return_a_list(script: Path) -> None:
    setup = Setup(run=fill, files=[script])
    assert Setup.of(None) is None
    assert Setup.of(setup) is setup
    assert Setup.of(fill) == Setup(run=fill)
    assert Setup.of([str(script)]) == Setup.of((script,)) == Setup(files=[script])


def test_setup_accepts_strings_and_a_single_path(script: Path) -> None:
    setup = Setup(files=[script], depends_on=[script.parent])
    assert Setup(files=[str(script)], depends_on=[str(script.parent)]) == setup
    assert Setup(files=str(script), depends_on=str(script.parent)) == setup
    assert Setup(files=[str(script)], depends_on=[str(script.parent)]).digest() == setup.digest()


@pytest.mark.parametrize("given", ["fill.sql", b"fill.sql", 5, True], ids=repr)
def test_other_setup_values_are_an_error(given: object) -> None:
    with pytest.raises(InvalidRequest, match="cannot fill a database") as caught:
        Setup.of(given)
    assert "a callable that takes a Database" in caught.value.remedy


@pytest.mark.parametrize("given", [[], Setup(), Setup(depends_on=[__file__])], ids=range(3))
def test_setup_that_does_nothing_is_an_error(given: object) -> None:
    with pytest.raises(InvalidRequest, match="neither a callable nor files, so that databases"):
        Setup.of(given)


@pytest.mark.parametrize("field", ["files", "depends_on"])
def test_missing_setup_file_is_an_error(tmp_path: Path, field: str) -> None:
    missing = tmp_path / "missing.sql"
    with pytest.raises(InvalidRequest, match=r"missing\.sql: this file cannot be read"):
        Setup.of(Setup(run=fill, **{field: [missing]}))


def test_equal_setups_have_equal_keys(script: Path) -> None:
    one, other = (Setup(run=fill, files=[script], depends_on=[script.parent]) for _ in range(2))
    assert one.digest() == other.digest()


def _another_line(script: Path) -> None:
    with script.open("a") as file:
        file.write("-- another line")


def _another_migration(script: Path) -> None:
    (script.parent / "migrations" / "deep").mkdir(parents=True)
    (script.parent / "migrations" / "deep" / "0002.py").write_text("more")


@pytest.mark.parametrize("change", [_another_line, _another_migration])
def test_changed_files_change_the_key(script: Path, change: Callable[[Path], None]) -> None:
    setup = Setup(files=[script], depends_on=[script.parent])
    before = setup.digest()
    change(script)
    assert setup.digest() != before


def test_compiled_files_do_not_change_the_key(script: Path) -> None:
    setup = Setup(depends_on=[script.parent])
    before = setup.digest()
    script.with_suffix(".pyc").touch()
    assert setup.digest() == before


def test_another_function_changes_the_key(script: Path) -> None:
    setups = [Setup(), Setup(run=fill), Setup(run=fill_differently), Setup(files=[script])]
    assert len({setup.digest() for setup in setups}) == len(setups)


def test_file_order_changes_the_key(script: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sql"
    other.write_text("INSERT")
    orders = [Setup(files=[script, other]), Setup(files=[other, script])]
    assert orders[0].digest() != orders[1].digest()


def test_function_without_source_is_identified_by_name() -> None:
    exec_made: dict[str, Callable[[Database], None]] = {}
    exec("def one(database): pass\ndef other(database): pass", exec_made)
    digests = {Setup(run=exec_made[name]).digest() for name in ("one", "other")}
    assert len(digests) == 2
    assert Setup(run=partial(fill)).digest() == Setup(run=partial(fill)).digest()
