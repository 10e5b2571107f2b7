"""What can be read from code, classes and instances."""

from __future__ import annotations

import copyreg
import dis
import functools
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import pairwise
from pathlib import Path
from types import CodeType
from typing import Any

READS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
"""Instructions that load a global or a built-in."""

LOADS = READS | {"LOAD_DEREF"}
STORES = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL", "STORE_DEREF", "DELETE_DEREF"})
CHANGES = frozenset(
    {"add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem"}
    | {"remove", "setdefault", "update"}
)
"""Methods that change a collection."""


def names_read(code: CodeType) -> set[str]:
    """Return the globals and built-ins that code reads."""
    return {i.argval for i in _instructions(code) if i.opname in READS}


def names_assigned(code: CodeType) -> set[str]:
    """Return the variables of outer scopes that code assigns."""
    return {i.argval for i in _instructions(code) if i.opname in STORES}


def names_changed(code: CodeType) -> set[str]:
    """Return the variables of outer scopes on which code calls a method of ``CHANGES``."""
    steps = pairwise(_instructions(code))
    return {i.argval for i, after in steps if i.opname in LOADS and after.argval in CHANGES}


def names_in(code: CodeType) -> set[str]:
    """Return all names in code: globals, attributes, methods."""
    return {name for part in _parts(code) for name in part.co_names}


def is_ours(cls: type) -> bool:
    """Whether a class is the project's."""
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    return not is_foreign(file) if file else cls.__module__ not in sys.builtin_module_names


@functools.cache
def is_foreign(file: str) -> bool:
    """Whether a file belongs to Python, to an installed library or to this plugin."""
    path = Path(file)
    if {"site-packages", "dist-packages"} & set(path.parts) or file.startswith("<frozen"):
        return True
    libraries = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
    return any(path.is_relative_to(library) for library in (*libraries, Path(__file__).parents[1]))


def is_a(value: object, *classes: type) -> bool:
    """Whether a value is an instance; `isinstance` asks lazy objects what they stand for."""
    return issubclass(type(value), classes)


def is_variable(value: object) -> bool:
    """Whether an instance can change."""
    parameters = getattr(type(value), "__dataclass_params__", None)
    is_frozen = getattr(parameters, "frozen", False)
    return not (is_frozen or is_a(value, tuple, Enum))


def state_of(value: Any) -> list[object] | None:
    """Return what an instance holds: the compared fields of a dataclass, or what pickle stores.

    None if it cannot be pickled.
    """
    cls = type(value)
    try:
        if is_dataclass(cls):
            names = [field.name for field in fields(cls) if field.compare]
            return [cls, {name: getattr(value, name, None) for name in names}]
        reduce: Callable[[Any], Any] = copyreg.dispatch_table.get(cls, _reduced)
        reduced = reduce(value)
    except Exception:  # noqa: BLE001 - it is the project's code
        return None
    if isinstance(reduced, str):
        return [reduced]
    function, arguments, *rest = reduced
    state = [_without_caches(value, part) for part in rest[:1]]
    return [function, arguments, *state, *(list(part or ()) for part in rest[1:3])]


def _without_caches(value: object, state: object) -> object:
    """Return the state without values that properties have computed from the others."""
    if not isinstance(state, dict):
        return state
    cls = type(value)
    cached = {n for n in state if isinstance(getattr(cls, str(n), None), functools.cached_property)}
    return {name: part for name, part in state.items() if name not in cached}


def _reduced(value: object) -> str | tuple[Any, ...]:
    return value.__reduce_ex__(4)


def _instructions(code: CodeType) -> Iterator[dis.Instruction]:
    for part in _parts(code):
        yield from dis.get_instructions(part)


def _parts(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts(constant)
