"""A shell beside the server, held open: it runs commands, and it is the lease on the server.

The kernel closes the connection of a process however that process ends. What happens then is
decided by `scripts/lease.sh`, beside the server: deferred commands are run, and if no other shell
is open an ephemeral server is switched off. No process has to know that it is the last.
"""

from __future__ import annotations

import base64
import os
import secrets
import shlex
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..model.errors import CommandFailed, EngineFailed, LdbError, ShellLost, hidden
from ..util import clock
from ..util.forks import close_in_children
from .script_files import commands_script

__tracebackhide__ = hidden

CHUNK_BYTES = 65536

CATCH_UP_S = 30.0
"""The most time that a command waits for one that was interrupted before it."""

NOT_FOUND = 127
"""Exit status for "command not found" (POSIX, "Exit Status for Commands")."""

CLIENT_ENDED = 69
"""Exit status for "the open client has ended" (EX_UNAVAILABLE in sysexits.h)."""


@dataclass(frozen=True)
class Client:
    """A program that takes statements from its standard input.

    Args:
        argv: How it is started.
        marking: The statement that makes it write the line ``{mark}``.
    """

    argv: tuple[str, ...]
    marking: str


class Stream(Protocol):
    """Bytes to and from the script."""

    def send(self, data: bytes) -> None:
        """Send all of it; raises OSError if the other side has closed the connection."""

    def receive(self, timeout_s: float) -> bytes:
        """Return what came, at the latest after the timeout (TimeoutError); empty at the end."""

    def close(self) -> None:
        """Close this process's side."""


class Shell:
    """A shell that is open. Safe to use from several threads; commands run one after another.

    A command that is interrupted here, or that does not end in time, goes on beside the server, and
    the next one waits until it has ended. Only the process that opened the shell can use it.

    Args:
        stream: Connected to the script.
        subject: The name of the server, for messages.

    Attributes:
        others: How many other processes had a shell on this server when this one was opened.
        was_ready: Whether a process had found the server ready since it was started.

    Raises:
        ShellLost: The connection ended, or the server is ending.
        EngineFailed: There is no `sh`.
    """

    def __init__(self, stream: Stream, subject: str) -> None:
        self._stream = stream
        self.subject = subject
        self._lock = threading.Lock()
        self._token = secrets.token_hex(8)
        self._marks = 0
        self._is_in_step = True  # False while output of an earlier command may be under way.
        self._process = os.getpid()
        self._client_comes_later = False
        close_in_children(stream)
        try:
            self._send("go\n")  # The script writes nothing before, see `lease.sh`.
            closing, ready, self.others = self._greeting()
            self.was_ready = bool(ready)
            if closing:
                raise ShellLost(subject, "its last user has just left, so it is shutting down")
            self._send(commands_script())
        except BaseException:
            stream.close()
            raise

    def run(self, argv: Sequence[str], *, timeout_s: float = 60.0) -> str:
        """Run a command and return its output, standard error included.

        Raises:
            CommandFailed: It ended with another status than 0, or not in time.
            ShellLost: The connection was lost; the server has probably ended.
        """
        return self._run(argv, argv[0], timeout_s)

    def feed(self, client: Client, statements: str, *, timeout_s: float = 60.0) -> str:
        """Send statements to a client that is kept open, and return its output.

        Raises:
            CommandFailed: It did not answer in time; or, with the status ``CLIENT_ENDED``, it is
                not installed, could not log in, or lost its connection.
            ShellLost: The connection was lost; the server has probably ended.
        """
        mark = f"{self._token}-done"
        request = ["feed", statements, client.marking.replace("{mark}", mark), mark, *client.argv]
        return self._run(request, client.argv[0], timeout_s)

    def later(self, argv: Sequence[str]) -> None:
        """Run a command when this shell ends, however it ends; in reverse order of these calls."""
        self.run(["later", _line(argv)])

    def feed_later(self, client: Client, statements: str) -> None:
        """Send statements to a new client when this shell ends."""
        if not self._client_comes_later:
            left = '"$home/farewell/$me.client"'
            self.run(["later", f"[ ! -s {left} ] || {shlex.join(client.argv)} <{left}"])
            self._client_comes_later = True
        self.run(["later", statements, ".client"])

    def forget(self, argv: Sequence[str]) -> None:
        """Undo :meth:`later`."""
        self.run(["forget", _line(argv)])

    def forget_to_feed(self, statements: str) -> None:
        """Undo :meth:`feed_later`."""
        self.run(["forget", statements, ".client"])

    def take_number(self, count: int, *, keep: bool = False) -> int | None:
        """Return a number below ``count`` that no other shell of the server has, if any is left.

        Args:
            count: How many there are.
            keep: Whether it stays taken when this shell ends.
        """
        try:
            return int(self.run(["take_number", str(count), "kept" if keep else ""]))
        except CommandFailed:
            return None

    def take_initial(self, put_back: Sequence[str] = ()) -> bool:
        """Take the database that the server has from the beginning, unless another shell has it.

        Args:
            put_back: The command that makes it what it was (`renew_initial` and its arguments),
                to be run when this shell ends. Without it the database stays taken.
        """
        return self.run(["take_initial", _line(put_back) if put_back else ""]).strip() == "taken"

    def mark_ready(self) -> None:
        """Record that the server has been ready, for :attr:`was_ready` of later shells."""
        self.run(["mark_ready"])

    def is_first(self, occasion: str) -> bool:
        """Whether this is the first call with an occasion, of all shells of the server."""
        return self.run(["be_first", occasion]).strip() == "first"

    def holds_files(self, folder: str) -> bool:
        """Whether a folder beside the server holds files that are not hidden."""
        return self.run(["holds_files", folder]).strip() == "yes"

    def stop_server(self) -> int:
        """Stop the server of a container that lingers, and return its exit status."""
        return int(self.run(["stop_server"]))

    def keep(self) -> None:
        """Do not switch the server off when the last shell leaves."""
        self.run(["keep"])

    def put(self, name: str, content: bytes) -> str:
        """Place a file where commands can read it, and return its path there."""
        path = self.run(["file_for", name]).strip()
        # Arguments can hold neither NUL nor arbitrary bytes, hence Base64.
        for start in range(0, len(content), CHUNK_BYTES):
            chunk = content[start : start + CHUNK_BYTES]
            try:
                self.run(["put", path, base64.b64encode(chunk).decode()])
            except CommandFailed as error:
                fact = f"there is no place for {name}, {len(content) >> 20} MiB, beside the server"
                remedy = "The size of /dev/shm in a container is `shm_mib` of the DatabaseType."
                raise CommandFailed(
                    self.subject, fact, evidence=error.evidence, remedy=remedy
                ) from None
        return path

    def close(self) -> None:
        """End the lease. Returns at once; the script beside the server does the rest."""
        self._stream.close()

    def _greeting(self) -> tuple[int, int, int]:
        """Read the first line; anything else is an error message of the engine."""
        text = b""
        deadline = clock.monotonic() + 30.0
        while b"\n" not in text:
            try:
                chunk = self._receive(deadline)
            except TimeoutError:
                chunk = b""
            if not chunk:
                raise self._refused(text)
            text += chunk
        word, *numbers = text.decode(errors="replace").split() or ("",)
        if word != "ldb-shell":
            raise self._refused(text)
        closing, ready, others = map(int, numbers[:3])
        return closing, ready, others

    def _refused(self, text: bytes) -> LdbError:
        """Return the error for an image without `sh`, or for a container that is ending."""
        fact, evidence = "no shell could be opened beside the server", text.decode(errors="replace")
        if b"executable file" in text:
            remedy = "pytest-ldb holds servers through `sh`: the image must have it."
            return EngineFailed(self.subject, fact, evidence=evidence, remedy=remedy)
        return ShellLost(self.subject, fact, evidence=evidence)

    def _run(self, argv: Sequence[str], name: str, timeout_s: float) -> str:
        if os.getpid() != self._process:
            # The lock may have been copied while a thread of the parent held it.
            raise ShellLost(
                self.subject,
                f"`{name}` cannot be run in a forked child, as the shell is the parent's",
                remedy="Create, snapshot, restore and drop databases in the parent process.",
            )
        with self._lock:
            if not self._is_in_step:
                self._catch_up(name, min(timeout_s, CATCH_UP_S))
            self._is_in_step = False
            mark = self._new_mark()
            self._send(f"run {mark} {shlex.join(argv)}\n")
            output, status = self._answer(name, mark, clock.monotonic() + timeout_s)
            self._is_in_step = True
        if status:
            raise CommandFailed(
                self.subject,
                f"`{name}` ended with status {status}",
                evidence=output,
                remedy=f"Install `{name}` there." if status == NOT_FOUND else "",
                status=status,
            )
        return output

    def _catch_up(self, name: str, timeout_s: float) -> None:
        """Skip the rest of the output of a command that was interrupted here."""
        mark, text = self._new_mark(), b""
        self._send(f"echo {mark}\n")
        deadline = clock.monotonic() + timeout_s
        while f"{mark}\n".encode() not in text:
            fact = f"`{name}` was not run, as a command that was interrupted has not ended"
            text += self._chunk(deadline, fact, name, text)

    def _answer(self, name: str, mark: str, deadline: float) -> tuple[str, int]:
        """Read until a command's mark, and return what came before it, and its status."""
        end, text = f"\n{mark} ".encode(), b""
        while end not in text or not text.endswith(b"\n"):
            text += self._chunk(deadline, f"`{name}` did not end in time", name, text)
        output, _, status = text.rpartition(end)
        return output.decode(errors="replace"), int(status)

    def _chunk(self, deadline: float, late: str, name: str, text: bytes) -> bytes:
        """Receive more output after ``text``; raise at the deadline, or if there is no more."""
        try:
            chunk = self._receive(deadline)
        except TimeoutError:
            evidence = text.decode(errors="replace")
            raise CommandFailed(self.subject, late, evidence=evidence) from None
        if not chunk:
            self.close()
            # The script has no other reason to end.
            fact = f"the server's container ended while `{name}` ran"
            raise ShellLost(self.subject, fact, evidence=text.decode(errors="replace"))
        return chunk

    def _new_mark(self) -> str:
        """Return a word that no output contains by chance."""
        self._marks += 1
        return f"{self._token}-{self._marks}"

    def _send(self, text: str) -> None:
        try:
            self._stream.send(text.encode())
        except BaseException as error:
            # The script may have got half a line, to which the next one would be joined.
            self.close()
            if not isinstance(error, OSError):
                raise
            raise ShellLost(
                self.subject, "the connection to its shell was lost", evidence=str(error)
            ) from error

    def _receive(self, deadline: float) -> bytes:
        try:
            return self._stream.receive(max(0.0, deadline - clock.monotonic()))
        except TimeoutError:
            raise
        except OSError:
            return b""


def _line(argv: Sequence[str]) -> str:
    """Return a command in one line, so that lists of commands can be searched line by line."""
    command = shlex.join(argv)
    if "\n" not in command:
        return command
    escaped = command.replace("\\", "\\\\").replace("\n", "\\n")
    return f'eval "$(printf %b {shlex.quote(escaped)})"'
