"""The programs of the fake engine: the keeper of a container, and a minimal Redis server.

Both run as scripts, by the path of this file and without site-packages, so that they start fast.
The module therefore imports only the standard library.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import uuid
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import FrameType

PORT_TAKEN = 98
"""Exit status of the keeper if the port is already in use."""

BESIDE = "beside"
"""The directory with a file for each command that was started beside a server."""

LISTENER = "FAKE_LISTENER"
"""Environment variable with the file descriptor of the published port."""


def keep(directory: Path) -> int:
    """Start a container and return when it runs; a child process waits for its end."""
    news, ours = os.pipe()
    keeper = os.fork()
    if keeper:
        os.close(ours)
        code = int(os.read(news, 3) or b"125")
        if code:
            os.waitpid(keeper, 0)  # The file is locked until the keeper has exited.
        return code
    os.close(news)
    os.setsid()
    with (directory / "exit").open("r+") as record:
        # Locked until the cleanup is complete; empty until the exit code is known.
        fcntl.flock(record, fcntl.LOCK_EX)
        record.truncate()
        code = _run(directory, ours)
        record.write(str(code))
        record.flush()
        for name in ("running", "paused"):
            (directory / name).unlink(missing_ok=True)
        _clean_up(directory)
    return code


def _run(directory: Path, news: int) -> int:
    """Run the container's command to its end and return its exit code."""
    output, log = os.pipe()
    recorder = threading.Thread(target=_record, args=[directory, output], daemon=True)
    recorder.start()
    with os.fdopen(log, "wb", 0) as end:
        process = _start(directory, news, end)
    code = 127
    if process:
        os.write(news, b"0")
        code = process.wait()
        _kill(process.pid)
    recorder.join(1.0)  # A process that left the group may keep the pipe open.
    return code if code >= 0 else 128 - code


def _start(directory: Path, news: int, log: FileIO) -> subprocess.Popen[bytes] | None:
    spec = json.loads((directory / "spec.json").read_text())
    try:
        port = socket.create_server((spec["bind"], spec["host_port"] or 0))
    except OSError:
        os.write(news, str(PORT_TAKEN).encode())
        return None
    command = spec["command"] or ["redis-server"]
    if spec["lingers"]:
        command = ["sh", "-c", spec["linger_script"], "sh", "TERM", *command]
        os.environ["LDB_HOME"] = "../home"
    with port:
        try:
            process = subprocess.Popen(
                command,
                cwd=directory / "root",
                env={**os.environ, **spec["environment"], LISTENER: str(port.fileno())},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[port.fileno()],
                start_new_session=True,
            )
        except OSError as error:
            log.write(f"{error}\n".encode())
            os.write(news, b"127")
            return None
        draft = directory / "running.draft"
        draft.write_text(json.dumps({"group": process.pid, "port": port.getsockname()[1]}))
        draft.replace(directory / "running")
    return process


def _record(directory: Path, output: int) -> None:
    """Write the output of a container to its log, with times."""
    with (
        os.fdopen(output, "rb", 0) as pipe,
        (directory / "log").open("ab", 0) as log,
        (directory / "times").open("a") as times,
    ):
        for chunk in iter(lambda: pipe.read(65536), b""):
            times.write(f"{time.time()} {log.tell()}\n")
            times.flush()
            log.write(chunk)


def _clean_up(directory: Path) -> None:
    """End the container's shells, and delete it or its shells' directory."""
    spec = json.loads((directory / "spec.json").read_text())
    if spec["auto_remove"] or (directory / "doomed").exists():
        garbage = directory = directory.rename(directory.parents[1] / "removed" / uuid.uuid4().hex)
    else:
        garbage = directory / "home"
    for names in (directory / "home" / "leases", directory / BESIDE):
        for name in names.glob("*"):
            _kill(int(name.name.partition("-")[0]))
            name.unlink(missing_ok=True)
    delete(garbage)


def delete(directory: Path) -> None:
    """Delete a directory; retry, as processes that are being killed may still write to it."""
    for _ in range(100):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
        time.sleep(0.01)


def _kill(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


class _Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        """Answer every line as a PING, the only command that clients send."""
        with suppress(ConnectionError):
            for _ in self.rfile:
                self.wfile.write(b"+PONG\r\n")


def serve() -> None:
    """Answer on the published port until a signal arrives."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, _end)
    server = socketserver.ThreadingTCPServer(("", 0), _Conversation, bind_and_activate=False)
    server.daemon_threads = True
    server.socket.close()
    server.socket = socket.socket(fileno=int(os.environ[LISTENER]))
    print("Ready to accept connections", flush=True)  # noqa: T201 - its log
    server.serve_forever()


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1] == "keep":
        os._exit(keep(Path(sys.argv[2])))
    serve()
