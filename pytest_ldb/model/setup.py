"""What fills a database before tests get copies of it: migrations, seed data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import InvalidRequest
from .identity import Unidentified, identity

if TYPE_CHECKING:
    from .database import Database

Fill = Callable[["Database"], object]
StrPath = str | PathLike[str]


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How a database is filled, and what the result depends on.

    Args:
        run: Called with a new, empty database; connects to it with whatever driver it likes.
        files: Files run by the database's own client, in this order; those below a directory in
            the order of their names. They may be compressed with gzip, bzip2 or xz.
        depends_on: Files and directories that ``run`` reads, such as a folder of migrations. On a
            server that is kept the result is used again as long as none of them changes. With it,
            ``run`` may hold values that cannot be compared, such as a connection.

    Paths may be strings, and a single one needs no list.
    """

    run: Fill | None = None
    files: Sequence[StrPath] = ()
    depends_on: Sequence[StrPath] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", _paths(self.files))
        object.__setattr__(self, "depends_on", _paths(self.depends_on))

    @classmethod
    def of(cls, given: object) -> Setup | None:
        """Return what a fixture ``ldb_<name>_setup`` means.

        Args:
            given: None, a callable, a sequence of paths, or a :class:`Setup`.

        Raises:
            InvalidRequest: It is none of these, or a file is not there.
        """
        if given is None or isinstance(given, cls):
            setup = given
        elif callable(given):
            setup = cls(run=given)
        elif isinstance(given, Iterable) and not isinstance(given, (str, bytes)):
            setup = cls(files=[Path(path) for path in given])
        else:
            raise InvalidRequest(
                "the setup of a database",
                f"{given!r} cannot fill a database",
                remedy="Return a callable that takes a Database, a list of files, or a Setup.",
            )
        if setup is not None and setup.run is None and not setup.files:
            raise InvalidRequest(
                "the setup of a database",
                "it has neither a callable nor files, so that databases would stay empty",
                remedy="Return None for databases without a setup.",
            )
        if setup is not None:  # A missing file is reported here, before a template is made.
            setup.digest()
        return setup

    def digest(self) -> str:
        """Return a digest of everything that the result depends on, 64 hex digits.

        Raises:
            InvalidRequest: A file is not there, or the callable holds a value that cannot be
                described, and there is nothing in ``depends_on``.
        """
        digest = hashlib.sha256()
        if self.run is not None:
            digest.update(_identity(self.run, is_declared=bool(self.depends_on)).encode())
        for path in (*self.files, *self.depends_on):
            for file in _files(Path(path)):
                digest.update(b"\0" + str(file).encode() + b"\0" + _content(file))
        return digest.hexdigest()


def _paths(given: Sequence[StrPath]) -> tuple[Path, ...]:
    # A string is a sequence of strings to type checkers.
    return tuple(map(Path, [given] if isinstance(given, (str, PathLike)) else given))


def _identity(run: Fill, *, is_declared: bool) -> str:
    try:
        return identity(run, is_declared=is_declared)
    except Unidentified as error:
        kind = f"{error.kind.__module__}.{error.kind.__qualname__}"
        raise InvalidRequest(
            "the setup of a database",
            f"it holds {error.place}, of the type {kind}, so that it cannot be told apart from "
            "another setup with the same code",
            remedy="Let it hold plain values instead, or return Setup(run=…, depends_on=…) with "
            "the files or directories that decide what it does, such as [__file__].",
        ) from None


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        # Python writes .pyc files while migrations run.
        yield from sorted(p for p in path.rglob("*") if p.is_file() and p.suffix != ".pyc")
    else:
        yield path


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidRequest(str(file), "this file cannot be read", evidence=str(error)) from error
