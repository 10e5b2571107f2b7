"""Files put into containers, and images made of directories of containers."""

from __future__ import annotations

import io
import json
import shlex
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

from ..protocol import File
from .errors import if_there
from .inspect import image_id
from .transport.http import Refused, Transport

PACKED = "data.tar"
PLACE = "/.ldb-cached"
"""Where an image has copies of data; not below a volume, whose content a commit leaves out."""


def archive(files: Mapping[str, File], folders: Iterable[str] = ()) -> BinaryIO:
    """Return a tar archive of files and folders, by absolute path."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in folders:
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for path, file in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(file.content), 0o755 if file.executable else 0o644
            tar.addfile(entry, io.BytesIO(file.content))
    return buffer


def remember(
    transport: Transport, container: str, paths: Sequence[str], labels: Mapping[str, str], tag: str
) -> str:
    """Make an image of the content of some directories of a container; see ``Engine.remember``.

    The content is put into a container of the same image that is never started, so that it becomes
    one layer above that image. The engine's archives keep owners, modes and times.

    Raises:
        Refused: The engine refused.
        OSError: The engine cannot be reached.
    """
    source = transport.request("GET", f"/containers/{quote(container)}/json")
    base, name = source["Image"], f"{source['Name'].lstrip('/')}-draft"
    content = {"Image": base, "Labels": dict(labels)}
    programs = ("/bin/tar", "/usr/bin/tar")
    packed = any(_is_there(transport, container, program) for program in programs)
    copies = [_Copy(number, path, packed) for number, path in enumerate(paths)]
    if_there(transport, "DELETE", f"/containers/{quote(name)}?force=1&v=1")  # of a killed process
    draft = transport.request("POST", f"/containers/create?name={quote(name)}", content)["Id"]
    try:
        put(transport, draft, archive({}, [PLACE, *(copy.place for copy in copies)]))
        for copy in copies:
            with _taken(transport, container, copy) as data:
                put(transport, draft, data, copy.place)
        repository, _, version = tag.rpartition(":")
        query = {"container": draft, "repo": repository, "tag": version}
        config = transport.request("GET", f"/images/{quote(base)}/json")["Config"]
        target = f"/commit?{urlencode({**query, 'changes': _changes(config, copies)}, doseq=True)}"
        return image_id(transport.request("POST", target, {})["Id"])
    finally:
        transport.request("DELETE", f"/containers/{draft}?force=1&v=1")


def put(transport: Transport, container: str, content: BinaryIO, path: str = "/") -> None:
    """Unpack an archive in a container."""
    transport.request("PUT", _archive_at(container, path), content)


@dataclass(frozen=True)
class _Copy:
    """A directory that is copied into an image.

    Packed, it is one tar file: reading many files out of image layers is slow in a new container.
    """

    number: int
    path: str
    packed: bool

    @property
    def place(self) -> str:
        return f"{PLACE}/{self.number}"

    @property
    def command(self) -> str:
        """The shell command that copies it back to its path."""
        path = PurePosixPath(self.path)
        if self.packed:
            return f"tar -xpf {self.place}/{PACKED} -C {shlex.quote(str(path.parent))}"
        return f"cp -a {shlex.quote(f'{self.place}/{path.name}/.')} {shlex.quote(self.path)}"


def _changes(config: Mapping[str, Any], copies: Iterable[_Copy]) -> list[str]:
    """Return the changes that copy everything back before the image's own entrypoint runs."""
    script = " && ".join([*(copy.command for copy in copies), 'exec "$@"'])
    entrypoint = ["sh", "-c", script, "sh", *(config.get("Entrypoint") or ())]
    # A new entrypoint resets the command (Dockerfile reference, "CMD and ENTRYPOINT").
    return [f"ENTRYPOINT {json.dumps(entrypoint)}", f"CMD {json.dumps(config.get('Cmd') or [])}"]


def _is_there(transport: Transport, container: str, path: str) -> bool:
    try:
        transport.request("HEAD", _archive_at(container, path))
    except Refused as refused:
        if refused.status == HTTPStatus.NOT_FOUND:
            return False
        raise
    return True


@contextmanager
def _taken(transport: Transport, container: str, copy: _Copy) -> Iterator[BinaryIO]:
    """Yield the archive of a directory; packed, it is one file in another archive."""
    with tempfile.TemporaryFile() as spool:
        entry = tarfile.TarInfo(PACKED)
        if copy.packed:
            spool.write(entry.tobuf(tarfile.GNU_FORMAT))  # Written again below, with the size.
        for chunk in transport.stream("GET", _archive_at(container, copy.path)):
            spool.write(chunk)
        if copy.packed:
            entry.size = spool.tell() - tarfile.BLOCKSIZE
            spool.write(bytes(-entry.size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE))
            spool.seek(0)
            spool.write(entry.tobuf(tarfile.GNU_FORMAT))
        yield spool


def _archive_at(container: str, path: str) -> str:
    return f"/containers/{quote(container)}/archive?{urlencode({'path': path})}"
