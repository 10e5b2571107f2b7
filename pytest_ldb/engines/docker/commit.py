"""What goes into containers and images as files."""

from __future__ import annotations

import io
import json
import shlex
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any

CHUNK_BYTES = 1 << 20
PACKED = "data.tar"
PLACE = "/.ldb-cached"
"""Where an image has copies of data: not below a path that is a volume, as those are not kept."""


def archive(files: Mapping[str, bytes], folders: Iterable[str] = ()) -> bytes:
    """Return a tar archive of files and folders, by absolute path."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in folders:
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for path, content in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def remember(
    api: Any, container: str, paths: Sequence[str], labels: Mapping[str, str], tag: str
) -> str:
    """Make an image of what a stopped container has at some paths; see the protocol.

    It is put into a container of the same image that is never started, and so into one layer above
    that image. The engine's archives keep owners, modes and times.
    """
    base = api.inspect_container(container)["Image"]
    draft = api.create_container(base, labels=dict(labels))["Id"]
    packed = any(_is_there(api, container, program) for program in ("/bin/tar", "/usr/bin/tar"))
    copies = [_Copy(number, path, packed) for number, path in enumerate(paths)]
    try:
        api.put_archive(draft, "/", archive({}, [PLACE, *(copy.place for copy in copies)]))
        for copy in copies:
            stream, _ = api.get_archive(container, copy.path)
            api.put_archive(draft, copy.place, _as_file(stream) if packed else stream)
        repository, _, name = tag.rpartition(":")
        changes = _changes(api.inspect_image(base)["Config"], copies)
        return str(api.commit(draft, repository, name, changes=changes)["Id"])
    finally:
        api.remove_container(draft, force=True, v=True)


@dataclass(frozen=True)
class _Copy:
    """A directory that an image remembers.

    Packed it is one file: a new container is slow to find many in the layers of its image.
    """

    number: int
    path: str
    packed: bool

    @property
    def place(self) -> str:
        return f"{PLACE}/{self.number}"

    @property
    def command(self) -> str:
        """What puts it where it was."""
        path = PurePosixPath(self.path)
        if self.packed:
            return f"tar -xpf {self.place}/{PACKED} -C {shlex.quote(str(path.parent))}"
        return f"cp -a {shlex.quote(f'{self.place}/{path.name}/.')} {shlex.quote(self.path)}"


def _changes(config: Mapping[str, Any], copies: Iterable[_Copy]) -> list[str]:
    """Return what has everything copied to its place before the image's own entrypoint begins."""
    script = " && ".join([*(copy.command for copy in copies), 'exec "$@"'])
    entrypoint = ["sh", "-c", script, "sh", *(config.get("Entrypoint") or ())]
    # An entrypoint of one's own would otherwise take the image's command away.
    return [f"ENTRYPOINT {json.dumps(entrypoint)}", f"CMD {json.dumps(config.get('Cmd') or [])}"]


def _is_there(api: Any, container: str, path: str) -> bool:
    try:
        stream, _ = api.get_archive(container, path)
    except Exception as error:
        if getattr(error, "status_code", None) == HTTPStatus.NOT_FOUND:
            return False
        raise
    for _ in stream:
        pass  # Left unread it would keep its connection.
    return True


def _as_file(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Yield an archive of one file, which is this archive."""
    with tempfile.TemporaryFile() as spool:
        for chunk in stream:
            spool.write(chunk)
        entry = tarfile.TarInfo(PACKED)
        entry.size = spool.tell()
        yield entry.tobuf()
        spool.seek(0)
        yield from iter(lambda: spool.read(CHUNK_BYTES), b"")
        yield bytes(-entry.size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)
