"""A shell inside a container, held open: it runs commands, and it is the lease on the server.

The kernel closes the connection of a process however that process ends. What happens then is
decided inside the container, by the script below: commands left for that moment are run, and
if no other shell is open the server is switched off. Nobody has to know who is last.
"""

from __future__ import annotations

import base64
import os
import secrets
import shlex
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Protocol

from .errors import CommandFailed, EngineFailed, LdbError, ShellLost, hidden

__tracebackhide__ = hidden

# The left side of the pipe only passes its input on, so it sees the end of the connection at
# once, even while the right side is busy with a command that hangs.
#
# The script waits for a word before it says anything: what arrives right behind the answer to the
# HTTP request that opened the connection could be lost in that request's buffers.
#
# Two shells may meet at the end, one leaving and one arriving. The one that arrives registers
# first and looks for the mark `closing` second; the one that leaves sets the mark first and looks
# for others second. So at least one of them sees the other.
_SCRIPT = """
umask 077
eval "$LDB_PROFILE"
home=$LDB_HOME me=$$
mkdir -p "$home/leases" "$home/farewell" "$home/numbers"
: >"$home/farewell/$me"
: >"$home/leases/$me"
count_others() {
  others=0
  for file in "$home"/leases/*; do
    pid=${file##*/}
    [ "$pid" = "$me" ] || [ ! -e "$file" ] || ! kill -0 "$pid" 2>/dev/null || others=$((others+1))
  done
}
leave() {
  exec >/dev/null 2>&1
  rm -f "$home/leases/$me"
  count_others
  if [ "$LDB_EPHEMERAL" ] && [ $others = 0 ]; then
    sleep 0.3 || sleep 1
    mkdir "$home/closing"
    count_others
    [ $others = 0 ] && switch_off
    rmdir "$home/closing"
  fi
  . "$home/farewell/$me"
  rm -f "$home/farewell/$me"
}
switch_off() {
  %(switch_off)s
}
count_others
ready=0; [ -e "$home/ready" ] && ready=1
closing=0; [ -d "$home/closing" ] && closing=1
read -r go
echo "ldb-shell $closing $ready $others"
{ cat; leave; } | LDB_LEASE=$me sh
"""

# Inside a container the server is process 1, which the kernel shields from SIGKILL and from every
# signal that it does not handle. While the image initialises itself, process 1 is a script that
# ignores signals but gives up when its child dies. The servers end at once on one of the first
# three, except MySQL, which takes a second to write what nobody will read; it heeds the last one.
SWITCH_OFF_CONTAINER = """while :; do
    kill -QUIT 1; kill -TERM 1; kill -INT 1
    sleep 0.3 || sleep 1
    kill -KILL -1
    kill -ABRT 1
  done"""

_PROLOGUE = """
home=$LDB_HOME
run() { "$@" </dev/null 2>&1; printf '\\n%s %d\\n' "$LDB_TOKEN" $?; }
later() {
  list=$home/farewell/$LDB_LEASE
  { printf '%s\\n' "$1"; cat "$list"; } >"$list.new" && mv "$list.new" "$list"
}
forget() {
  list=$home/farewell/$LDB_LEASE
  { grep -vxF -e "$1" "$list"; true; } >"$list.new" && mv "$list.new" "$list"
}
mark_ready() { : >"$home/ready"; }
template_claim() {
  place=$home/templates/$1
  mkdir -p "$home/templates"
  while :; do
    if [ -e "$place.ready" ]; then echo ready; cat "$place.ready"; return; fi
    if [ -e "$place.failed.$2" ]; then echo failed; cat "$place.failed.$2"; return; fi
    if ln -s "$LDB_LEASE" "$place.lock" 2>/dev/null; then echo mine; return; fi
    if mkdir "$place.stealing" 2>/dev/null; then
      owner=$(readlink "$place.lock")
      [ -e "$home/leases/$owner" ] || rm -f "$place.lock"
      rmdir "$place.stealing"
    fi
    if [ -h "$place.lock" ]; then echo wait; return; fi
  done
}
template_ready() {
  printf %s "$2" >"$home/templates/$1.new"
  mv "$home/templates/$1.new" "$home/templates/$1.ready"
  rm -f "$home/templates/$1.lock"
}
template_failed() {
  printf %s "$3" >"$home/templates/$1.new"
  mv "$home/templates/$1.new" "$home/templates/$1.failed.$2"
  rm -f "$home/templates/$1.lock"
}
file_for() {
  folder=$(mktemp -d "$home/files.XXXXXX")
  later "rm -r '$folder'"
  : >"$folder/$1"
  echo "$folder/$1"
}
put() { printf %s "$2" | base64 -d >>"$1"; }
take_number() {
  number=0
  while [ $number -lt "$1" ]; do
    if mkdir "$home/numbers/$number" 2>/dev/null; then
      [ "$2" ] || later "rmdir '$home/numbers/$number'"
      echo $number
      return 0
    fi
    number=$((number+1))
  done
  return 1
}
"""


CHUNK_BYTES = 65536

NOT_FOUND = 127
"""The status of a command that there is not (POSIX, "Exit Status for Commands")."""


class Stream(Protocol):
    """Bytes to and from the script."""

    def send(self, data: bytes) -> None:
        """Send all of it; raises OSError when the other side is gone."""

    def receive(self, timeout_s: float) -> bytes:
        """Return what came, at the latest after the timeout (TimeoutError); empty at the end."""

    def close(self) -> None:
        """Close this process's side."""


def script(switch_off: str) -> str:
    """Return the script to run with ``sh -c``.

    It reads ``LDB_HOME`` (a directory that all shells of a server share), ``LDB_EPHEMERAL``
    (not empty: the last shell that leaves runs ``switch_off``) and ``LDB_PROFILE`` (a line to run
    first).
    """
    return _SCRIPT % {"switch_off": switch_off}


class Shell:
    """A shell that is open. Safe to use from several threads; commands run one after another.

    Args:
        stream: Connected to the script.
        subject: Whose shell it is, for messages.

    Attributes:
        others: How many other processes had a shell on this server when this one was opened.
        was_ready: Whether somebody had found the server ready since it was started.

    Raises:
        ShellLost: The connection ended, or the server is ending.
        EngineFailed: There is no `sh`.
    """

    def __init__(self, stream: Stream, subject: str) -> None:
        self._stream = stream
        self._subject = subject
        self._lock = threading.Lock()
        self._token = secrets.token_hex(8)
        _close_in_children(stream)
        try:
            self._send("go\n")
            closing, ready, self.others = self._greeting()
            self.was_ready = bool(ready)
            if closing:
                raise ShellLost(subject, "its last user has just left, it is being switched off")
            self._send(f"LDB_TOKEN={self._token}\n{_PROLOGUE}\n")
        except BaseException:
            stream.close()
            raise

    def run(self, argv: Sequence[str], *, timeout_s: float = 60.0) -> str:
        """Run a command and return what it wrote, both streams together.

        Raises:
            CommandFailed: It ended with another status than 0, or not in time.
            ShellLost: The connection ended; the server is probably gone.
        """
        with self._lock:
            try:
                self._send(f"run {shlex.join(argv)}\n")
                output, status = self._answer(argv, time.monotonic() + timeout_s)
            except BaseException:
                # Its answer may still come, and must not be taken for the next command's.
                self.close()
                raise
        if status:
            raise CommandFailed(
                self._subject,
                f"`{argv[0]}` ended with status {status}",
                evidence=output,
                remedy=f"Install `{argv[0]}` there." if status == NOT_FOUND else "",
                status=status,
            )
        return output

    def later(self, argv: Sequence[str]) -> None:
        """Have a command run when this shell ends, in whatever way; the last one comes first."""
        self.run(["later", shlex.join(argv)])

    def forget(self, argv: Sequence[str]) -> None:
        """Do not run a command that was left for the end."""
        self.run(["forget", shlex.join(argv)])

    def take_number(self, count: int, *, keep: bool = False) -> int | None:
        """Return a number below ``count`` that no other shell of the server has, if any is left.

        Args:
            count: How many there are.
            keep: Whether it stays taken when this shell ends.
        """
        try:
            return int(self.run(["take_number", str(count), "keep" if keep else ""]))
        except CommandFailed:
            return None

    def mark_ready(self) -> None:
        """Tell those who come later that the server has been ready."""
        self.run(["mark_ready"])

    def put(self, name: str, content: bytes) -> str:
        """Place a file where commands can read it, and return its path there."""
        path = self.run(["file_for", name]).strip()
        for start in range(0, len(content), CHUNK_BYTES):
            chunk = content[start : start + CHUNK_BYTES]
            self.run(["put", path, base64.b64encode(chunk).decode()])
        return path

    def close(self) -> None:
        """End the lease. Returns at once; the rest happens in the container."""
        self._stream.close()

    def _greeting(self) -> tuple[int, int, int]:
        """Read the first line. Whatever else comes first is the engine saying why it cannot."""
        text = b""
        deadline = time.monotonic() + 30.0
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
        """Tell an image without `sh` from a container that ends at this very moment."""
        fact, evidence = "no shell could be opened beside the server", text.decode(errors="replace")
        if b"executable file" in text:
            remedy = "pytest-ldb holds servers through `sh`: the image must have it."
            return EngineFailed(self._subject, fact, evidence=evidence, remedy=remedy)
        return ShellLost(self._subject, fact, evidence=evidence)

    def _answer(self, argv: Sequence[str], deadline: float) -> tuple[str, int]:
        mark = f"\n{self._token} ".encode()
        text = b""
        while mark not in text or not text.endswith(b"\n"):
            try:
                chunk = self._receive(deadline)
            except TimeoutError:
                raise CommandFailed(
                    self._subject,
                    f"`{argv[0]}` did not end in time",
                    evidence=text.decode(errors="replace"),
                ) from None
            if not chunk:
                raise ShellLost(
                    self._subject,
                    f"the server's container ended while `{argv[0]}` ran",
                    evidence=text.decode(errors="replace"),
                )
            text += chunk
        output, _, status = text.rpartition(mark)
        return output.decode(errors="replace"), int(status)

    def _send(self, text: str) -> None:
        try:
            self._stream.send(text.encode())
        except OSError as error:
            raise ShellLost(
                self._subject, "the connection into its container ended", evidence=str(error)
            ) from error

    def _receive(self, deadline: float) -> bytes:
        try:
            return self._stream.receive(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            raise
        except OSError:
            return b""


def _close_in_children(stream: Stream) -> None:
    """Close the stream in forked children: they must not keep their parent's lease alive."""
    if hasattr(os, "register_at_fork"):
        reference = weakref.ref(stream)

        def close() -> None:
            inherited = reference()
            if inherited is not None:
                inherited.close()

        os.register_at_fork(after_in_child=close)
