"""What a callable does, as a digest that is equal in all processes and runs.

Two callables have equal digests if they have the same code in the same file, the same default
arguments, closures, bound arguments and instances, and read the same values from their module. Code
of libraries counts by its name only.

A value that is held by the callable itself must be known, as two callables may differ in nothing
else. Of a global it is enough to know the name: each module has only one of that name.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any

from .introspection import (
    is_a,
    is_foreign,
    is_ours,
    is_variable,
    names_assigned,
    names_changed,
    names_in,
    names_read,
    state_of,
)

ATOMS = (type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented))
PLAIN = frozenset(
    {"argparse", "array", "builtins", "collections", "datetime", "decimal", "fractions"}
    | {"functools", "ipaddress", "logging", "operator", "pathlib", "re", "string", "types"}
    | {"uuid", "zoneinfo"}
)
"""Modules of the standard library whose instances are what they are pickled as."""

_COLLECTIONS = (list, set, dict, deque)


class Unidentified(Exception):
    """Raised for a callable that holds a value which cannot be described.

    Args:
        place: Where the value is, for example "`app` of its closure".
        kind: The type of the value.
    """

    def __init__(self, place: str, kind: type) -> None:
        super().__init__(place, kind)
        self.place = place
        self.kind = kind


@functools.singledispatch
def plain_form(value: Any) -> Any:
    """Return a value to describe instead of this one; the same if there is none.

    Plugins register what stands for values of their own types.
    """
    return value


@plain_form.register
def _(value: MethodType) -> object:
    return ["method", value.__func__, value.__self__]


@plain_form.register
def _(value: BuiltinFunctionType) -> object:
    owner = value.__self__
    return [
        "builtin",
        value.__qualname__,
        getattr(owner, "__name__", "") if is_a(owner, ModuleType) else owner,
    ]


@plain_form.register
def _(value: MappingProxyType) -> object:  # type: ignore[type-arg]
    return dict(value)


@plain_form.register
def _(value: property) -> object:
    return ["property", value.fget, value.fset, value.fdel]


@plain_form.register(staticmethod)
@plain_form.register(classmethod)
@plain_form.register(functools._lru_cache_wrapper)  # noqa: SLF001
def _(value: Any) -> object:
    return [type(value).__name__, value.__wrapped__]


def identity(run: object, *, is_declared: bool) -> str:
    """Return the digest of a callable, 64 hex digits.

    Args:
        run: The callable.
        is_declared: Whether the user has said what it depends on; then no value must be known.

    Raises:
        Unidentified: It holds a value that cannot be described.
    """
    description = _Description()
    description.value(run, "the callable itself", lenient=is_declared)
    description.finish()
    return description.digest()


class _Description:
    """Describes values, and then the functions and classes that they refer to."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._numbers: dict[int, int] = {}
        self._known: list[object] = []  # Keeps them alive, so that no other object gets an id.
        self._pending: deque[tuple[Any, bool]] = deque()
        self._open: set[int] = set()

    def digest(self) -> str:
        return self._hash.hexdigest()

    def finish(self) -> None:
        while self._pending:
            thing, lenient = self._pending.popleft()
            describe = self._function if is_a(thing, FunctionType) else self._class
            describe(thing, lenient=lenient)

    def value(self, value: Any, place: str, *, lenient: bool) -> None:
        if type(value) in ATOMS:
            self._tell(type(value).__name__, repr(value))
        elif is_a(value, FunctionType, type):
            if self._is_new(value):
                self._pending.append((value, lenient))
        elif id(value) in self._open:
            self._tell("again")
        else:
            self._open.add(id(value))
            self._compound(value, place, lenient=lenient)
            self._open.discard(id(value))

    def _compound(self, value: Any, place: str, *, lenient: bool) -> None:
        if (form := _simplified(value)) is not value:
            self.value(form, place, lenient=lenient)
        elif type(value) in (list, tuple):
            self._all(type(value).__name__, value, place, lenient=lenient)
        elif type(value) in (set, frozenset):  # Their order differs between processes.
            digests = sorted(_digest(part, place, lenient=lenient) for part in value)
            self._tell(type(value).__name__, *digests)
        elif type(value) is dict:
            self._mapping(value, place, lenient=lenient)
        elif is_a(value, CodeType):
            self._code(value)
        elif is_a(value, ModuleType):
            self._module(value, ())
        else:
            self._instance(value, place, lenient=lenient)

    def _all(self, word: str, values: Sequence[object], place: str, *, lenient: bool) -> None:
        self._tell(word, str(len(values)))
        for value in values:
            self.value(value, place, lenient=lenient)

    def _mapping(self, mapping: Mapping[object, object], place: str, *, lenient: bool) -> None:
        self._tell("dict", str(len(mapping)))
        for key, value in mapping.items():
            self.value(key, place, lenient=lenient)
            where = f"`{key}` of {place}" if is_a(key, str) else place
            self.value(value, where, lenient=lenient)

    def _instance(self, value: object, place: str, *, lenient: bool) -> None:
        """Describe an instance as pickle would store it."""
        if self._is_new(value):
            parts = state_of(value) if _is_plain(value, lenient=lenient) else None
            if parts is not None:
                self._all("instance", parts, f"the {type(value).__name__}", lenient=lenient)
            elif lenient:
                self.value(type(value), place, lenient=True)
            else:
                raise Unidentified(place, type(value))

    def _function(self, function: FunctionType, *, lenient: bool) -> None:
        code = function.__code__
        self._tell("function", _file(function.__globals__), function.__qualname__)
        # What a library or a generator of code put there says how, not what.
        lenient = lenient or is_foreign(code.co_filename) or code.co_filename.startswith("<")
        cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
        closure = {name: content for name, cell in cells for content in _content(cell)}
        for name in sorted(closure.keys() - _written(code, closure)):
            self._tell("cell", name)
            self.value(closure[name], f"`{name}` of its closure", lenient=lenient)
        defaults = [function.__defaults__, function.__kwdefaults__]
        self._all("defaults", defaults, "its default arguments", lenient=lenient)
        self._all("attributes", [vars(function)], "its attributes", lenient=True)
        if not is_foreign(code.co_filename):
            self._code(code)
            self._globals(function)

    def _code(self, code: CodeType) -> None:
        # Not the source: two lambdas of one line have the same.
        table = getattr(code, "co_exceptiontable", b"")
        self._tell("code", code.co_name, str(code.co_flags), repr(code.co_code), repr(table))
        self._tell("names", *code.co_names, *code.co_varnames, *code.co_freevars)
        self._all("constants", code.co_consts, "its constants", lenient=True)

    def _globals(self, function: FunctionType) -> None:
        code, values = function.__code__, function.__globals__
        mentioned = names_in(code)
        for name in sorted(names_read(code) & values.keys() - _written(code, values)):
            self._tell("global", name)
            self._global(values[name], mentioned)

    def _global(self, value: Any, mentioned: Iterable[str]) -> None:
        """Describe a global; of one with a state of its own only what the code mentions."""
        value = _simplified(value)
        if is_a(value, ModuleType):
            self._module(value, mentioned)
        elif not is_a(value, type) and is_ours(type(value)) and is_variable(value):
            self.value(type(value), "", lenient=True)
            self._attributes(getattr(value, "__dict__", {}), mentioned)
        else:
            self.value(value, "", lenient=True)

    def _module(self, module: ModuleType, mentioned: Iterable[str]) -> None:
        if self._is_new(module):
            file = getattr(module, "__file__", None)
            self._tell("module", module.__name__, str(file))
            if file and not is_foreign(file):
                self._tell("content", _read(file))
                self._attributes(vars(module), mentioned)

    def _attributes(self, values: Mapping[str, object], names: Iterable[str]) -> None:
        for name in sorted(set(names) & values.keys()):
            self._tell("attribute", name)
            self.value(values[name], "", lenient=True)

    def _class(self, cls: type, *, lenient: bool) -> None:
        module = sys.modules.get(cls.__module__)
        self._tell("class", _file(vars(module)) if module else "", cls.__qualname__)
        if is_ours(cls):
            self._all("bases", cls.__bases__, "its bases", lenient=True)
            for name, value in sorted(vars(cls).items()):
                is_method = is_a(value, FunctionType, property, staticmethod, classmethod)
                if is_method or not name.startswith("__"):
                    self._tell("member", name)
                    self.value(value, "", lenient=lenient if is_method else True)

    def _is_new(self, thing: object) -> bool:
        """Say which one it is of those that are described once; whether this is the first time."""
        number = self._numbers.setdefault(id(thing), len(self._numbers))
        self._tell("number", str(number))
        if number < len(self._known):
            return False
        self._known.append(thing)
        return True

    def _tell(self, *words: str) -> None:
        # With their lengths, no two lists of words are written equally.
        for word in (str(len(words)), *words):
            data = word.encode(errors="surrogatepass")
            self._hash.update(b"%d:%b" % (len(data), data))


def _simplified(value: Any) -> Any:
    return plain_form.dispatch(type(value))(value)


def _digest(value: object, place: str, *, lenient: bool) -> str:
    description = _Description()
    description.value(value, place, lenient=lenient)
    description.finish()
    return description.digest()


def _is_plain(value: object, *, lenient: bool) -> bool:
    """Whether an instance is what it holds; one that can change is, if it has to be known."""
    cls = type(value)
    if cls.__module__.partition(".")[0] in PLAIN:
        return True
    if lenient:
        return is_ours(cls) and not is_variable(value)
    return is_ours(cls) or is_dataclass(cls)


def _written(code: CodeType, values: Mapping[str, object]) -> set[str]:
    """Return the variables of outer scopes that code itself assigns or fills.

    A list in which a function notes that it has run says nothing about what it does.
    """
    changed = names_changed(code) & values.keys()
    filled = {name for name in changed if is_a(values[name], *_COLLECTIONS)}
    return names_assigned(code) | filled


def _file(namespace: Mapping[str, object]) -> str:
    return str(namespace.get("__file__") or namespace.get("__name__"))


def _content(cell: Any) -> list[object]:
    try:
        return [cell.cell_contents]
    except ValueError:  # It is empty.
        return []


def _read(file: str) -> str:
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return ""
