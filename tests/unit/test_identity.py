"""What tells setups apart, in one process and between processes."""

from __future__ import annotations

import functools
import importlib.util
import logging
import operator
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_ldb.model.errors import InvalidRequest
from pytest_ldb.model.setup import Setup

Run = Callable[..., object]


def digest(run: Run) -> str:
    return Setup(run=run).digest()


def load(path: Path, text: str) -> ModuleType:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    specification = importlib.util.spec_from_file_location("conftest", path)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def fill(database: object, table: object = "a") -> object:
    return (database, table)


def filling(table: object) -> Run:
    return lambda database: fill(database, table)


def filling_by_default(table: object) -> Run:
    def run(_: object, table: object = table) -> object:
        return table

    return run


def noting(note: Callable[[], object]) -> Run:
    @functools.wraps(fill)
    def run(database: object) -> object:
        note()
        return database

    return run


class Filler:
    def __init__(self, table: object) -> None:
        self.table = table

    def __call__(self, database: object) -> object:
        return fill(database, self.table)

    def run(self, database: object) -> object:
        return self(database)

    @functools.cached_property
    def shouted(self) -> str:
        return f"{self.table}!"


@dataclass
class Data:
    table: object

    def __call__(self, database: object) -> object:
        return fill(database, self.table)


class Base:
    table: object

    def __call__(self, database: object) -> object:
        return fill(database, self.table)


class Kind(Enum):
    ONE = 1
    OTHER = 2

    def __call__(self, database: object) -> object:
        return fill(database, self.value)


def attributed(table: object) -> Run:
    run = filling(None)
    run.table = table  # type: ignore[attr-defined]
    return run


MAKERS: list[Callable[[object], Run]] = [
    filling,
    filling_by_default,
    Filler,
    Data,
    lambda table: Filler(table).run,
    lambda table: Filler({"nested": [table]}),
    lambda table: functools.partial(fill, table=table),
    lambda table: functools.partial(functools.partial(Filler.run, Filler(table))),
    lambda table: operator.methodcaller("fill", table),
    lambda table: noting(filling(table)),
    lambda table: functools.lru_cache(filling(table)),
    lambda table: type("Made", (Base,), {"table": table})(),
    attributed,
]
PAIRS: list[tuple[object, object]] = [
    ("a", "b"),
    (1, True),
    ((1, 2), [1, 2]),
    ({"a": 1}, {"a": 2}),
    ({"a", "b"}, {"a", "c"}),
    (Path("a.sql"), Path("b.sql")),
    (Decimal(1), Decimal(2)),
    (logging.getLogger("a"), logging.getLogger("b")),
    (fill, filling("a")),
    (os, sys),
    (Filler, Data),
    (Kind.ONE, Kind.OTHER),
]


@pytest.mark.parametrize("maker", MAKERS, ids=range(len(MAKERS)))
@pytest.mark.parametrize("pair", PAIRS, ids=range(len(PAIRS)))
def test_setups_differ_in_what_they_hold(
    maker: Callable[[object], Run], pair: tuple[object, object]
) -> None:
    one, other = pair
    assert digest(maker(one)) != digest(maker(other))
    assert digest(maker(one)) == digest(maker(one))


def test_lambdas_of_one_line_differ() -> None:
    one, other = (lambda database: fill(database, "a"), lambda database: fill(database, "b"))
    assert digest(one) != digest(other)


GLOBALS = {
    "a string": ("TABLE = 'a'", "TABLE = 'b'", "return TABLE"),
    "an item": ("TABLES = {'t': 'a'}", "TABLES = {'t': 'b'}", "return TABLES['t']"),
    "a function": ("def f(): return 1", "def f(): return 2", "return f()"),
    "a function that reads another": (
        "X = 1\ndef g(): return X\ndef f(): return g()",
        "X = 2\ndef g(): return X\ndef f(): return g()",
        "return f()",
    ),
    "a class attribute": ("class C: t = 'a'", "class C: t = 'b'", "return C.t"),
    "a method": (
        "class C:\n def m(self): return 1",
        "class C:\n def m(self): return 2",
        "return C().m()",
    ),
    "an attribute of an object": (
        "class C: pass\nc = C()\nc.t = 'a'",
        "class C: pass\nc = C()\nc.t = 'b'",
        "return c.t",
    ),
    "read by an inner function": ("T = 'a'", "T = 'b'", "return [T for _ in range(2)]"),
}


@pytest.mark.parametrize("case", GLOBALS)
def test_globals_that_are_read_change_the_identity(tmp_path: Path, case: str) -> None:
    one, other, body = GLOBALS[case]
    function = f"\ndef fill(database):\n    {body}\n"
    path = tmp_path / "conftest.py"
    digests = [digest(load(path, text + function).fill) for text in (one, other, one)]
    assert digests[0] != digests[1]
    assert digests[0] == digests[2]


def test_equal_functions_of_two_files_differ(tmp_path: Path) -> None:
    # What cannot be described, such as a client, is known by the name of its global.
    text = "import threading\nclient = threading.Lock()\ndef fill(database): client.acquire()\n"
    one, other = (load(tmp_path / name / "conftest.py", text).fill for name in ("a", "b"))
    assert digest(one) != digest(other)


def test_module_that_is_read_counts_by_its_content(tmp_path: Path) -> None:
    digests = []
    for table in ("a", "b"):
        helper = load(tmp_path / "helper.py", f"TABLE = {table!r}")
        conftest = load(tmp_path / "conftest.py", "def fill(database): return helper.TABLE")
        conftest.helper = helper  # type: ignore[attr-defined]
        digests.append(digest(conftest.fill))
    assert digests[0] != digests[1]


def test_changed_attribute_of_a_module_changes_the_identity(tmp_path: Path) -> None:
    helper = load(tmp_path / "helper.py", "TABLE = 'a'")
    conftest = load(tmp_path / "conftest.py", "def fill(database): return helper.TABLE")
    conftest.helper = helper  # type: ignore[attr-defined]
    before = digest(conftest.fill)
    helper.TABLE = "b"  # type: ignore[attr-defined]
    assert digest(conftest.fill) != before


LOG: list[int] = []
COUNT = 0


def test_what_a_setup_writes_does_not_change_its_identity() -> None:
    notes: list[int] = []
    count = 0

    def run(_: object) -> None:
        nonlocal count
        global COUNT  # noqa: PLW0603 - a setup that counts its runs
        count += 1
        COUNT += 1
        notes.append(1)
        LOG.append(1)

    before = digest(run)
    run(None)
    assert digest(run) == before


def test_computed_properties_do_not_change_the_identity() -> None:
    filler = Filler("a")
    before = digest(filler)
    assert filler.shouted == "a!"
    assert digest(filler) == before


def test_comments_do_not_change_the_identity(tmp_path: Path) -> None:
    path = tmp_path / "conftest.py"
    before = digest(load(path, "def fill(database): return 1").fill)
    assert digest(load(path, "# why\ndef fill(database):\n    return 1  # so\n").fill) == before


def test_cycles_are_described() -> None:
    nested: list[Any] = ["a"]
    nested.append(nested)

    def recurse(database: object) -> object:
        return recurse(database), nested

    assert digest(recurse) == digest(recurse)


class Proxy:
    """Stands for something that is not there yet, like Flask's `current_app`."""

    def _refuse(self, *_: object) -> Any:
        raise RuntimeError("working outside of application context")

    __class__ = property(_refuse)
    __getattr__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __reduce_ex__ = _refuse


PROXY = Proxy()


def test_lazy_objects_are_not_asked() -> None:
    def run(_: object) -> object:
        return PROXY.name  # type: ignore[attr-defined]

    assert digest(run) == digest(run)
    with pytest.raises(InvalidRequest, match="`table` of its closure, of the type"):
        Setup.of(filling(PROXY))


LOCK = threading.Lock()

UNKNOWN = [
    (filling(LOCK), "`table` of its closure, of the type _thread.lock"),
    (filling_by_default(LOCK), "its default arguments"),
    (functools.partial(fill, table=LOCK), "`table` of the partial"),
    (Filler(LOCK), "`table` of the Filler"),
    (Filler(LOCK).run, "`table` of the Filler"),
    (Data(LOCK), "`table` of the Data"),
    (filling(filling(LOCK)), "`table` of its closure"),
    (filling([{"lock": LOCK}]), "`lock` of `table` of its closure"),
]


@pytest.mark.parametrize(("run", "place"), UNKNOWN, ids=range(len(UNKNOWN)))
def test_value_that_cannot_be_compared_is_an_error_unless_dependencies_are_named(
    run: Run, place: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Setup.of(run)
    assert f"it holds {place}" in str(caught.value)
    assert "Setup(run=…, depends_on=…)" in caught.value.remedy
    assert Setup.of(Setup(run=run, depends_on=[__file__]))


def test_identity_is_equal_in_all_processes(tmp_path: Path) -> None:
    """Hashes of strings, addresses, and what a compiled file shares differ between processes."""
    (tmp_path / "fills.py").write_text(
        "import functools, logging, pathlib, re\n"
        "from dataclasses import dataclass\n"
        "NAMES = {'a', 'b', 'c', 'd', 'e'}\n"
        "class Fill:\n"
        "    def __init__(self): self.data = {'x': [object(), pathlib.Path('y')]}\n"
        "    def __call__(self, database): return NAMES, (1, 2), self.data, re.compile('x')\n"
        "def fill(database, names): return database in {'x', 'y', 'z'}, (1, 2), (1, 2)\n"
        "RUNS = [Fill(), Fill().__call__, functools.partial(fill, names=NAMES), lambda d: fill]\n"
    )
    program = (
        "from fills import RUNS; from pytest_ldb.model.setup import Setup\n"
        "print([Setup(run=run).digest() for run in RUNS])"
    )
    outputs = {
        subprocess.check_output(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": ""},
        )
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
