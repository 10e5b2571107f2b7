"""What goes into containers and images as files."""

from __future__ import annotations

import io
import json
import shlex
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

PLACE = "/.ldb-snapshot"
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

    The copies are put into a container of the same image that is never started, and so into one
    layer above that image. The engine's archives keep owners, modes and times.
    """
    base = api.inspect_container(container)["Image"]
    draft = api.create_container(base, labels=dict(labels))["Id"]
    places = [f"{PLACE}/{number}" for number in range(len(paths))]
    try:
        api.put_archive(draft, "/", archive({}, [PLACE, *places]))
        for path, place in zip(paths, places, strict=True):
            stream, _ = api.get_archive(container, path)
            api.put_archive(draft, place, stream)
        repository, _, name = tag.rpartition(":")
        changes = _changes(api.inspect_image(base)["Config"], dict(zip(places, paths, strict=True)))
        return str(api.commit(draft, repository, name, changes=changes)["Id"])
    finally:
        api.remove_container(draft, force=True, v=True)


def _changes(config: Mapping[str, Any], copies: Mapping[str, str]) -> list[str]:
    """Return what has everything copied to its place before the image's own entrypoint begins."""
    steps = [
        f"cp -a {shlex.quote(f'{place}/{PurePosixPath(path).name}/.')} {shlex.quote(path)}"
        for place, path in copies.items()
    ]
    script = " && ".join([*steps, 'exec "$@"'])
    entrypoint = ["sh", "-c", script, "sh", *(config.get("Entrypoint") or ())]
    # An entrypoint of one's own would otherwise take the image's command away.
    return [f"ENTRYPOINT {json.dumps(entrypoint)}", f"CMD {json.dumps(config.get('Cmd') or [])}"]
