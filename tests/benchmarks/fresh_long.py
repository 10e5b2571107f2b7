"""Memory and waiting times over many tests on one server."""

from __future__ import annotations

import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fresh_contestants import Contestant
from fresh_measure import CONTAINERS
from fresh_runs import FreshWorkshop
from workshop import Failed, docker

EVERY_S = 1.0
SLICE = 10
"""Waits of the first and of the last tenth of the tests are compared."""

# Version 2 of cgroups, and version 1.
CGROUP = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")


@dataclass(frozen=True)
class Memory:
    """The memory of a container, in MiB."""

    after_s: float
    data: float
    """In the data directories, which are in memory."""
    all: float
    """Of processes and data, as the kernel counts it."""


def long_run(workshop: FreshWorkshop, contestant: Contestant, tests: int) -> dict[str, Any]:
    """Run the tests of one project without a pause, and return memory and waits."""
    memory: list[Memory] = []
    try:
        with _sampling(workshop.folder, memory):
            (process,) = workshop.measure(contestant, tests=tests, body_s=0.0, processes=1)
    except Failed as failure:
        return {"contestant": contestant.name, "failed": str(failure)}
    waits = [(sample.given - sample.asked) * 1000 for sample in process.samples]
    part = max(1, len(waits) // SLICE)
    return {
        "contestant": contestant.name,
        "failed": "",
        "tests": len(waits),
        "per_s": len(waits) / (process.ended - process.began),
        "first_waits_ms": statistics.median(waits[:part]),
        "last_waits_ms": statistics.median(waits[-part:]),
        "longest_wait_ms": max(waits),
        "memory_mib": [asdict(sample) for sample in memory],
    }


@contextmanager
def _sampling(folder: Path, memory: list[Memory]) -> Iterator[None]:
    over = threading.Event()
    known = set(folder.glob(f"*/{CONTAINERS}"))
    watch = threading.Thread(target=_watch, args=(folder, known, memory, over), daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()


def _watch(folder: Path, known: set[Path], memory: list[Memory], over: threading.Event) -> None:
    began = time.monotonic()
    question = ""
    container = ""
    while not over.wait(EVERY_S if container else 0.1):
        if not container:
            container = _container_in(set(folder.glob(f"*/{CONTAINERS}")) - known)
        try:
            question = question or (container and _question(container))
            if question:
                answer = docker("exec", container, "sh", "-c", question)
                memory.append(_memory(answer, time.monotonic() - began))
        except subprocess.CalledProcessError:  # it was removed, as expected at the end
            return


def _container_in(files: set[Path]) -> str:
    names = [name for file in files for name in file.read_text().split()]
    return names[0] if names else ""


def _question(container: str) -> str:
    paths = "{{range $path, $options := .HostConfig.Tmpfs}}{{$path}} {{end}}"
    places = docker("inspect", "--format", paths, container).strip()
    return f"cat {' '.join(CGROUP)} 2>/dev/null; df -kP {places}"


def _memory(answer: str, after_s: float) -> Memory:
    """Read the bytes of the cgroup, a title, and a line per file system: name, size, used, …"""
    total, _, *lines = answer.splitlines()
    used = sum(int(line.split()[2]) for line in lines)
    return Memory(after_s, data=used / 1024, all=int(total) / 1024**2)
