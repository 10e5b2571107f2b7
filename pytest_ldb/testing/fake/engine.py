"""An engine for tests: it needs no container engine, and all its images behave alike.

A container is a directory and, while it runs, a process group on this machine. It can run the
programs of this machine, a `redis-server` that answers `PING`, and a `redis-cli`.
All state is in files, so that several processes can share a directory and can be killed.

    <directory>/bin/                  the programs
    <directory>/images/               pulled references (files) and remembered images (directories)
    <directory>/containers/<name>/    a container
    <directory>/volumes/<name>/       a volume: its labels, and its data
    <directory>/removed/              what is being created or deleted

A container's directory has `spec.json`, `log`, `exit` (its exit code; locked while it runs),
`running` (its process group and its port), `times` (times of log offsets), `paused`, `doomed`,
`root/` (where its commands run), `home/` (shared by its shells) and `beside/` (other commands).
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote, unquote
from uuid import uuid4

from ...engines.docker.guard import ProcessGuard
from ...engines.docker.log_lines import LogLines
from ...engines.protocol import Container, ContainerSpec, Image, Volume
from ...model import errors
from ...shell import shell
from ...shell.local import ProcessStream
from ...shell.script_files import lease_script, script
from . import container as fake_container
from .files import Directory, FakeLog, FakeWatch
from .volumes import ProcessExecution, Volumes

UNREACHABLE = "localhost:1/"
"""Prefix of references that cannot be pulled."""

_PYTHON = [sys.executable, "-I", "-S", fake_container.__file__]

_SERVER = f'#!/bin/sh\nexec {shlex.join(_PYTHON)} serve "$@"\n'
# Each key is a file in `db/<number>`.
_CLIENT = """#!/bin/sh
while [ $# -gt 1 ]; do case $1 in -n) number=$2; shift 2;; *) shift 2;; esac; done
case $1 in
DBSIZE) set -- "db/$number"/*; [ -e "$1" ] && echo $# || echo 0;;
FLUSHDB) rm -rf "db/$number"; echo OK;;
esac
"""


class FakeEngine:
    """An engine whose containers are directories.

    Args:
        directory: The directory for all state; created if necessary.
    """

    def __init__(self, directory: str | Path) -> None:
        self._directory = Path(directory).resolve()
        self.url = str(self._directory)
        self._volumes = Volumes(self._directory / "volumes")
        for name in ("bin", "images", "containers", "removed", "volumes"):
            (self._directory / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._add_program("redis-server", _SERVER)
        self._add_program("redis-cli", _CLIENT)

    def discards(self, directory: Path) -> bool:  # noqa: ARG002
        return False

    def bind(self, chosen: str | None) -> str:
        return "127.0.0.1" if chosen is None else chosen

    def image(self, reference: str, *, pull: str, say: Callable[[str], None]) -> Image:
        path = self._image_path(reference)
        if pull == "always" or (pull == "missing" and not path.exists()):
            say(f"pulling {reference}")
            if not reference.startswith((UNREACHABLE, "sha256:")):
                path.write_text(reference)
        if not path.exists():
            raise errors.ImageUnavailable(reference, "the fake engine does not have it")
        if path.is_dir():
            return self._remembered(path)
        text = path.read_text()
        if text.startswith("sha256:"):
            return self.image(text, pull="never", say=say)
        return Image(id=f"sha256:{hashlib.sha256(text.encode()).hexdigest()}", volumes=("/data",))

    def remember(
        self, container: str, paths: Sequence[str], labels: Mapping[str, str], tag: str
    ) -> str:
        source = self._existing(container).path / "root"
        draft = self._directory / "removed" / uuid4().hex
        for path in paths:
            inside = path.lstrip("/")
            shutil.copytree(source / inside, draft / "root" / inside, symlinks=True)
        (draft / "labels.json").write_text(json.dumps(dict(labels)))
        image = f"sha256:{uuid4().hex * 2}"
        draft.rename(self._image_path(image))
        self._image_path(tag).write_text(image)
        return image

    def images(self, labels: Mapping[str, str]) -> Sequence[Image]:
        paths = [path for path in (self._directory / "images").iterdir() if path.is_dir()]
        found = [self._remembered(path) for path in paths]
        return [image for image in found if _carries(image.labels, labels)]

    def remove_image(self, image: str) -> None:
        if any(directory.spec["image_id"] == image for directory in self._directories()):
            raise errors.EngineFailed(image, "a container uses it")
        fake_container.delete(self._image_path(image))

    def find(self, name: str) -> Container | None:
        found = self._directory_of(name)
        return None if found is None else found.container()

    def containers(self, labels: Mapping[str, str]) -> Sequence[Container]:
        return [d.container() for d in self._directories() if _carries(d.spec["labels"], labels)]

    def create(self, spec: ContainerSpec) -> str:
        identity = uuid4().hex
        image = self.image(spec.image, pull="missing", say=lambda _: None)
        draft = self._directory / "removed" / identity
        (draft / "root").mkdir(parents=True)
        for name in ("log", "times", "exit", "lock"):
            (draft / name).touch()
        remembered = self._image_path(image.id) / "root"
        if remembered.exists():
            shutil.copytree(remembered, draft / "root", dirs_exist_ok=True)
        for path, file in spec.files.items():
            inside = draft / "root" / path.lstrip("/")
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.write_bytes(file.content)
            inside.chmod(0o755 if file.executable else 0o644)
        self._volumes.mount(spec, draft / "root")
        labels = {**image.labels, **spec.labels}
        facts = {
            **asdict(spec),
            "labels": labels,
            "files": [*spec.files],
            "linger_script": script("linger") if spec.lingers else "",
            "id": identity,
            "image_id": image.id,
        }
        (draft / "spec.json").write_text(json.dumps(facts))
        try:
            # Atomic: `rename` does not replace a directory that is not empty.
            draft.rename(self._directory / "containers" / spec.name)
        except OSError as error:
            fake_container.delete(draft)
            raise errors.NameTaken(
                spec.name, "this container name is taken", evidence=str(error)
            ) from error
        return identity

    def start(self, container: str) -> FakeWatch:
        directory = self._existing(container)
        with directory.locked() as there:
            watch = self._watch(directory, from_start=False)
            if not there or directory.is_running():
                return watch
            with (directory.path / "log").open("ab") as log:
                done = subprocess.run(
                    [*_PYTHON, "keep", directory.path],
                    env={"PATH": self._search_path()},
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    check=False,
                )
        if done.returncode == fake_container.PORT_TAKEN:
            raise errors.PortTaken(container, "its port is taken", port=directory.spec["host_port"])
        if done.returncode:
            raise errors.EngineFailed(container, "its command cannot be run", evidence=watch.log(1))
        return watch

    def watch(self, container: str) -> FakeWatch:
        return self._watch(self._existing(container), from_start=True)

    def log(
        self,
        container: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
    ) -> LogLines:
        directory = self._existing(container)
        return LogLines(FakeLog(directory, follow=follow, tail=tail, since=since or 0.0))

    def stop(self, container: str) -> None:
        directory = self._directory_of(container)
        if directory is None:
            return
        with directory.locked() as there:
            if there:
                directory.end(signal.SIGTERM)
                directory.end(signal.SIGKILL)

    def pause(self, container: str) -> None:
        """Suspend all processes of a container, as `docker pause` does."""
        directory = self._existing(container)
        (directory.path / "paused").touch()
        directory.send(signal.SIGSTOP)

    def unpause(self, container: str) -> None:
        directory = self._existing(container)
        directory.send(signal.SIGCONT)
        (directory.path / "paused").unlink(missing_ok=True)

    def remove(self, container: str) -> None:
        directory = self._directory_of(container)
        if directory is None:
            return
        with directory.locked() as there:
            if there:
                (directory.path / "doomed").touch()
                directory.end(signal.SIGKILL)
            # The lock excludes other processes; the keeper has removed it if it was running.
            if directory.is_there():
                garbage = directory.path.rename(self._directory / "removed" / uuid4().hex)
                fake_container.delete(garbage)

    def volumes(self, labels: Mapping[str, str]) -> Sequence[Volume]:
        return [volume for volume in self._volumes.all() if _carries(volume.labels, labels)]

    def remove_volume(self, name: str) -> None:
        if any(name in directory.spec["volumes"].values() for directory in self._directories()):
            raise errors.EngineFailed(name, "a container uses it")
        self._volumes.remove(name)

    def execute(
        self,
        container: str,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        tty: bool,  # noqa: ARG002
    ) -> ProcessExecution:
        directory = self._existing(container)
        if not directory.is_running():
            raise errors.EngineFailed(container, "it does not run")
        surroundings = {"LDB_HOME": "../home", **environment, "PATH": self._search_path()}
        return ProcessExecution(argv, directory.path / "root", surroundings)

    def shell(
        self, container: str, *, environment: Mapping[str, str], ephemeral: bool
    ) -> shell.Shell:
        directory = self._directory_of(container)
        running = directory and directory.running()
        if directory is None or not running:
            raise errors.ShellLost(container, "it does not run")
        group = running["group"]
        switch_off = f"kill -TERM -{group}; sleep 0.3; kill -KILL -{group}; exit"
        # Relative paths: an absolute one would create the directory of a removed container again.
        enter = f"cd {shlex.quote(str(directory.path / 'root'))} || exit"
        fixed = {
            "LDB_EPHEMERAL": "1" if ephemeral else "",
            "LDB_HOME": "../home",
            "LDB_PROFILE": f"{enter}; {environment.get('LDB_PROFILE', '')}",
            "PATH": self._search_path(),
        }
        stream = ProcessStream(lease_script(switch_off), {**environment, **fixed})
        opened = shell.Shell(stream, container)
        # The keeper ends all shells when the container stops, but may have missed a newer one.
        if not directory.is_running():
            opened.close()
            raise errors.ShellLost(container, "it has just ended")
        return opened

    def guard(self, identity: str) -> ProcessGuard:
        return ProcessGuard(identity, type(self), str(self._directory))

    def _watch(self, directory: Directory, *, from_start: bool) -> FakeWatch:
        try:
            return FakeWatch(directory, from_start=from_start)
        except FileNotFoundError:
            raise errors.EngineFailed(directory.path.name, "it has just been removed") from None

    def _directories(self) -> Iterator[Directory]:
        for path in (self._directory / "containers").iterdir():
            with suppress(FileNotFoundError):
                yield Directory(path)

    def _directory_of(self, container: str) -> Directory | None:
        found = (d for d in self._directories() if container in (d.path.name, d.spec["id"]))
        return next(found, None)

    def _existing(self, container: str) -> Directory:
        directory = self._directory_of(container)
        if directory is None:
            raise errors.EngineFailed(container, "there is no such container")
        return directory

    def _image_path(self, reference: str) -> Path:
        return self._directory / "images" / quote(reference, safe="")

    def _remembered(self, path: Path) -> Image:
        labels = json.loads((path / "labels.json").read_text())
        return Image(id=unquote(path.name), volumes=("/data",), labels=labels)

    def _search_path(self) -> str:
        return f"{self._directory / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"

    def _add_program(self, name: str, text: str) -> None:
        path = self._directory / "bin" / name
        if not path.exists():
            draft = path.with_name(f"{name}.{uuid4().hex}")
            draft.write_text(text)
            draft.chmod(0o700)
            draft.replace(path)


def _carries(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(n) == v if v else n in labels for n, v in wanted.items())
