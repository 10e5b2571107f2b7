"""Volumes of the fake engine, and commands beside its servers."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ...engines.protocol import ContainerSpec, Volume
from .container import BESIDE, delete


class Volumes:
    """A directory for each volume, with `labels.json` and `data/`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def mount(self, spec: ContainerSpec, root: Path) -> None:
        """Link the volumes of a container to their paths; create missing volumes."""
        for path, name in spec.volumes.items():
            volume = self._directory / name
            (volume / "data").mkdir(parents=True, exist_ok=True)
            if not (volume / "labels.json").exists():
                (volume / "labels.json").write_text(json.dumps(dict(spec.labels)))
            inside = root / path.lstrip("/")
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.symlink_to(volume / "data")

    def all(self) -> Iterator[Volume]:
        """Yield all volumes."""
        for path in self._directory.iterdir():
            with suppress(FileNotFoundError):
                labels = json.loads((path / "labels.json").read_text())
                yield Volume(name=path.name, labels=labels)

    def remove(self, name: str) -> None:
        """Remove a volume; do nothing if it does not exist."""
        delete(self._directory / name)


class ProcessExecution:
    """A process on this machine without a terminal, which ends with its container."""

    def __init__(self, argv: Sequence[str], root: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            argv,
            cwd=root,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._mark = root.parent / BESIDE / str(self._process.pid)
        with suppress(FileNotFoundError):  # The container has just been removed.
            self._mark.parent.mkdir(exist_ok=True)
            self._mark.touch()
        self._streams = selectors.DefaultSelector()
        assert self._process.stdout
        assert self._process.stderr
        self._streams.register(self._process.stdout, selectors.EVENT_READ, 1)
        self._streams.register(self._process.stderr, selectors.EVENT_READ, 2)

    def send(self, data: bytes) -> None:
        """Write to its standard input."""
        assert self._process.stdin
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def end_input(self) -> None:
        """Close its standard input."""
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def receive(self, timeout_s: float) -> list[tuple[int, bytes]]:
        """Return its output by stream; raise TimeoutError if there is none."""
        while self._streams.get_map():
            ready = self._streams.select(timeout_s)
            if not ready:
                raise TimeoutError
            wrote = [(key.data, os.read(key.fd, 65536), key.fileobj) for key, _ in ready]
            for _, content, stream in wrote:
                if not content:
                    self._streams.unregister(stream)
            pieces = [(number, content) for number, content, _ in wrote if content]
            if pieces:
                return pieces
        return []

    def resize(self, rows: int, columns: int) -> None:
        """Do nothing: there is no terminal."""

    def status(self) -> int:
        """Return its exit status."""
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    def close(self) -> None:
        """Kill the process and close its streams."""
        self.end_input()
        self._process.kill()
        self._process.wait()
        self._mark.unlink(missing_ok=True)
        for stream in (self._process.stdout, self._process.stderr):
            assert stream
            stream.close()
        self._streams.close()
