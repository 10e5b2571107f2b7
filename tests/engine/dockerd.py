"""A Docker engine for this machine: the one that answers, or one that is started here.

The command line tool `docker` decides which engine is meant, so DOCKER_HOST and contexts count.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bootstrap import install, may_install
from processes import Process, processes
from settings import DOCKER, download
from steps import Failure, last_lines, run, say, state_directory, step

START_TIMEOUT_S = 60.0
STOP_GRACE_S = 40.0  # dockerd gives its containers 15 s, and then tidies up.
SYSTEM_CONTAINERD = Path("/run/containerd/containerd.sock")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an engine of ours lives.

    The defaults are Docker's own; another place allows tests beside an engine in use.
    """

    socket: Path = Path("/var/run/docker.sock")
    run_directory: Path = Path("/var/run/docker")
    pid_file: Path = Path("/var/run/docker.pid")
    options: tuple[str, ...] = ()
    state: Path = field(default_factory=state_directory)

    @property
    def log(self) -> Path:
        """What the engine prints, from its latest start on."""
        return self.state / "dockerd.log"

    @property
    def record(self) -> Path:
        """The record of the process that was started; the file is absent if none was."""
        return self.state / "dockerd.json"


def docker(*arguments: str, timeout_s: float | None = None) -> str:
    """Run `docker` and return what it printed."""
    # The older builder is the one that every engine and every packaging of the tool has.
    return run("docker", *arguments, timeout_s=timeout_s, env={"DOCKER_BUILDKIT": "0"})


def pull(reference: str, *, timeout_s: float) -> None:
    """Let the engine pull an image; it decides from where, and by which settings."""
    download(DOCKER, "docker", "pull", "--quiet", reference, timeout_s=timeout_s)


def answers() -> bool:
    """Whether an engine answers."""
    return _complaint() is None


def ensure(place: Place) -> None:
    """Return when an engine answers; start one where we can."""
    complaint = _complaint()
    if complaint is None:
        return
    if not may_install():
        raise Failure(
            f"{complaint}\nStart Docker, or run this as root on Debian, where it starts one itself."
        )
    _install_what_is_missing()
    if answers():
        return
    _require_that_we_are_asked(place, complaint)
    with step("started a Docker engine"):
        _start(place)


def stop(place: Place) -> None:
    """End the engine that we started, with all its containers; leave any other alone."""
    process = _recorded(place)
    if process is None:
        say("No engine to end: prepare.py started none.")
        return
    with step(f"ended the Docker engine (pid {process.pid})"):
        process.end(STOP_GRACE_S)
        if _companions(place) and _running_daemon(place) is None:
            # A killed engine leaves containers running, and only an engine can end them properly.
            _start(place).end(STOP_GRACE_S)
        place.record.unlink()


def _complaint() -> str | None:
    """Why no engine answers, or None if one does."""
    try:
        docker("version", "--format", "{{.Server.Version}}", timeout_s=10.0)
    except Failure as failure:
        return f"No Docker engine answers. {failure}"
    return None


def _install_what_is_missing() -> None:
    if shutil.which("docker") and shutil.which("dockerd"):
        return
    # Since Debian 13 the command line tool is a package of its own.
    install("docker.io", optional=("docker-cli",))


def _require_that_we_are_asked(place: Place, complaint: str) -> None:
    """Do not start an engine if the user has chosen another one."""
    host = docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}").strip()
    if Path(host.removeprefix("unix://")).resolve() != place.socket.resolve():
        raise Failure(
            f"{complaint}\nStart the engine at {host}, or unset DOCKER_HOST and DOCKER_CONTEXT."
        )


def _start(place: Place) -> Process:
    process = _running_daemon(place)
    if process is None:
        _clear_what_a_killed_engine_left(place)
        process = _launch(place)
        place.record.write_text(json.dumps(asdict(process)))
    _wait_for_answer(place, process)
    return process


def _launch(place: Place) -> Process:
    # A shell that ends at once leaves dockerd to init: no terminal and no parent can end it.
    script = 'log=$1; shift; dockerd "$@" > "$log" 2>&1 < /dev/null & echo $!'
    shell = ("setsid", "--wait", "sh", "-c", script, "sh")
    process = Process.with_pid(int(run(*shell, str(place.log), *place.options)))
    if process is None:
        raise _no_start(place, "ended as it began")
    return process


def _wait_for_answer(place: Place, process: Process) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not answers():
        if not process.is_alive():
            raise _no_start(place, "ended while it started")
        if time.monotonic() > deadline:
            raise _no_start(place, f"does not answer after {START_TIMEOUT_S:.0f} s")
        time.sleep(0.1)


def _no_start(place: Place, fact: str) -> Failure:
    log = place.log.read_text(errors="replace") if place.log.exists() else ""
    return Failure(
        f"dockerd {fact}. The end of {place.log}:\n{last_lines(log)}\n"
        "Mend what it names; if it still runs, end it with prepare.py --stop."
    )


def _recorded(place: Place) -> Process | None:
    try:
        return Process(**json.loads(place.record.read_text()))
    except FileNotFoundError:
        return None


def _running_daemon(place: Place) -> Process | None:
    """The engine that runs in this place now, started by this program or not."""
    try:
        process = Process.with_pid(int(place.pid_file.read_text()))
    except (OSError, ValueError):
        return None
    return process if process and process.name == "dockerd" else None


def _companions(place: Place) -> list[Process]:
    """The containerd of this place's engine, and the shims of its containers."""
    root = f"{place.run_directory}/containerd/"
    return [
        process
        for process in processes()
        if process.name.startswith("containerd")
        and any(argument.startswith(root) for argument in process.command)
    ]


def _clear_what_a_killed_engine_left(place: Place) -> None:
    """Remove files that name processes of an engine that has ended.

    If the number in such a file has been given to another process since, dockerd refuses to start,
    or waits in vain.
    """
    if _running_daemon(place) is None:
        place.pid_file.unlink(missing_ok=True)
    if not any(companion.name == "containerd" for companion in _companions(place)):
        (place.run_directory / "containerd" / "containerd.pid").unlink(missing_ok=True)
    # If it exists, dockerd uses it, without checking whether a process listens.
    if SYSTEM_CONTAINERD.exists() and not _listens(SYSTEM_CONTAINERD):
        SYSTEM_CONTAINERD.unlink()


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(os.fspath(path)) == 0
