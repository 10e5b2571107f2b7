"""Containers as files: a runtime for tests, which needs no engine and has a single image.

A container is a directory and, while it runs, a group of processes of this machine. Besides this
machine's programs it has two of its own: a `redis-server`, which answers `PING`, and a `redis-cli`.
All state is in files, so any number of processes may share a directory and may be killed.

    <directory>/bin/                  the programs
    <directory>/images/               the references that were pulled
    <directory>/containers/<name>/    a container
    <directory>/removed/              what is being made, and what is being deleted

A container's directory has `spec.json`, `log`, `exit` (its exit code; locked while it runs),
`running` (its processes and its port), `paused`, `doomed`, `root/` (where its commands run) and
`home/` (what its shells share).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from ..core import errors, shell
from ..core.model import Address
from ..core.runtime import Container, ContainerSpec, Exit, Image
from . import fake_container
from .streams import ProcessStream

UNREACHABLE = "localhost:1/"
"""The registry from which nothing can be pulled."""

_PYTHON = [sys.executable, "-I", "-S", fake_container.__file__]
_PAUSE_S = 0.005
_PATIENCE_S = 10.0

_SERVER = f'#!/bin/sh\nexec {shlex.join(_PYTHON)} serve "$@"\n'
# A key is a file in `db/<number>`.
_CLIENT = """#!/bin/sh
while [ $# -gt 1 ]; do case $1 in -n) number=$2; shift 2;; *) shift 2;; esac; done
case $1 in
DBSIZE) set -- "db/$number"/*; [ -e "$1" ] && echo $# || echo 0;;
FLUSHDB) rm -rf "db/$number"; echo OK;;
esac
"""

_GUARD = """
import sys
if not sys.stdin.read():
    from pytest_ldb.runtimes.fake import FakeRuntime
    from pytest_ldb.runtimes.guard import remove_whatever_appears
    remove_whatever_appears(FakeRuntime(sys.argv[1]), sys.argv[2])
"""


class FakeRuntime:
    """Containers in a directory.

    Args:
        directory: Where they are; it is made if it is not there.
    """

    def __init__(self, directory: str | Path) -> None:
        self._directory = Path(directory).resolve()
        for name in ("bin", "images", "containers", "removed"):
            (self._directory / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._add_program("redis-server", _SERVER)
        self._add_program("redis-cli", _CLIENT)

    def bind(self, chosen: str | None) -> str:
        return "127.0.0.1" if chosen is None else chosen

    def image(self, reference: str, *, pull: str, say: Callable[[str], None]) -> Image:
        path = self._directory / "images" / quote(reference, safe="")
        if pull == "always" or (pull == "missing" and not path.exists()):
            say(f"pulling {reference}")
            if not reference.startswith(UNREACHABLE):
                path.write_text(reference)
        if not path.exists():
            raise errors.ImageUnavailable(reference, "the fake runtime does not have it")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return Image(id=f"sha256:{digest}", volumes=("/data",))

    def find(self, name: str) -> Container | None:
        found = self._directory_of(name)
        return found and found.container()

    def containers(self, labels: Mapping[str, str]) -> Sequence[Container]:
        return [d.container() for d in self._directories() if _carries(d.spec["labels"], labels)]

    def create(self, spec: ContainerSpec) -> str:
        identity = uuid4().hex
        image = self.image(spec.image, pull="missing", say=str)
        draft = self._directory / "removed" / identity
        for path, content in {"/": b"", **spec.files}.items():
            inside = draft / "root" / path.lstrip("/")
            inside.parent.mkdir(parents=True, exist_ok=True)
            if content:
                inside.write_bytes(content)
        for name in ("log", "exit", "lock"):
            (draft / name).touch()
        facts = {**asdict(spec), "files": [*spec.files], "id": identity, "image_id": image.id}
        (draft / "spec.json").write_text(json.dumps(facts))
        try:
            # The kernel arbitrates: it does not replace a directory that has something in it.
            draft.rename(self._directory / "containers" / spec.name)
        except OSError as error:
            shutil.rmtree(draft)
            raise errors.NameTaken(
                spec.name, "this container name is taken", evidence=str(error)
            ) from error
        return identity
