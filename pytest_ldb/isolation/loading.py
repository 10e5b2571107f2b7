"""Loads files into a database with the database's own client."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..lifecycle.lease import Lease
from ..model.database import Database
from ..model.errors import CommandFailed, InvalidRequest, hidden

__tracebackhide__ = hidden

DECOMPRESS: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ\0": lzma.decompress,
}
"""How files are decompressed, by their first bytes."""

UNKNOWN = {b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip", b"\x04\x22\x4d\x18": "lz4"}
COMPRESSED = frozenset({".gz", ".bz2", ".xz"})
COMMENTS = ("--", "#", "//", "/*", "*")


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield files, and those below directories in the order of their names.

    Raises:
        InvalidRequest: A directory has no files.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        below = [file.relative_to(path) for file in path.rglob("*") if file.is_file()]
        found = [path / file for file in sorted(below) if not f"/{file.as_posix()}".count("/.")]
        if not found:
            raise InvalidRequest(str(path), "this directory of a setup has no files")
        yield from found


def load(lease: Lease, database: Database, file: Path) -> None:
    """Run the statements in a file, which may be compressed, with the database's own client.

    Raises:
        InvalidRequest: The type does not define ``load``, or the file leaves the database.
        CommandFailed: A statement failed.
    """
    operations = lease.database_type.operations
    if not operations.load:
        raise InvalidRequest(
            lease.database_type.name,
            f"{file.name} cannot be loaded: this database type does not define `load`",
            remedy="Set `operations.load` of the DatabaseType.",
        )
    content = decompressed(file)
    if operations.leaves:
        check_stays(file, content.decode("latin-1"), operations.leaves)
    name = file.stem if file.suffix in COMPRESSED else file.name
    path = lease.shell.put(name, content)
    try:
        lease.commands.run(operations.load, database.database, file=path)
    except CommandFailed as error:
        raise CommandFailed(
            error.subject,
            f"{file.name} could not be loaded, {error.fact}",
            evidence=error.evidence,
            remedy=error.remedy,
            status=error.status,
        ) from None


def decompressed(file: Path) -> bytes:
    """Return the content of a file.

    Raises:
        InvalidRequest: It is damaged, or compressed in a way that Python does not know.
    """
    content = file.read_bytes()
    for start, kind in UNKNOWN.items():
        if content.startswith(start):
            remedy = "Compress it with gzip, bzip2 or xz, or not at all."
            raise InvalidRequest(str(file), f"it is compressed with {kind}", remedy=remedy)
    for start, decompress in DECOMPRESS.items():
        if content.startswith(start):
            try:
                return decompress(content)
            except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
                fact = "it cannot be decompressed"
                raise InvalidRequest(str(file), fact, evidence=str(error)) from None
    return content


def check_stays(file: Path, text: str, leaves: str) -> None:
    """Refuse a file that would fill another database than the one that it is loaded into.

    Raises:
        InvalidRequest: A line of it matches ``leaves``.
    """
    for match in re.finditer(leaves, text):
        start = text.rfind("\n", 0, match.start("database")) + 1
        line = text[start:].partition("\n")[0].strip()
        if not line.startswith(COMMENTS):
            number = text.count("\n", 0, start) + 1
            raise InvalidRequest(
                str(file),
                f"line {number} goes to another database, so the one to fill would stay as it is",
                evidence=line,
                remedy="Remove such lines, and those that create or drop a database. pg_dump "
                "writes none without --create, mysqldump none without --databases.",
            )
