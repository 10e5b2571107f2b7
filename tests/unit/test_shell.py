"""A shell that is held open: what goes over the wire, and the script at the other end."""

from __future__ import annotations

import shutil
from fnmatch import fnmatch
from pathlib import Path

import pytest

from pytest_ldb.engines.docker.transport.streams import local_shell
from pytest_ldb.model.errors import CommandFailed, EngineFailed, LdbError, ShellLost
from pytest_ldb.shell.shell import Shell
from pytest_ldb.testing.processes import wait_until

GREETING = b"ldb-shell 0 0 0\n"


class Wire:
    """A stream that delivers what was given to it; an exception is raised."""

    def __init__(self, *replies: bytes | BaseException) -> None:
        self.replies = list(replies)
        self.sent = b""
        self.closed = False

    def send(self, data: bytes) -> None:
        if self.closed:
            raise BrokenPipeError("closed on this side")
        self.sent += data

    def receive(self, _: float) -> bytes:
        reply = self.replies.pop(0) if self.replies else b""
        if isinstance(reply, BaseException):
            raise reply
        return reply.replace(b"TOKEN", self.token)

    def close(self) -> None:
        self.closed = True

    @property
    def token(self) -> bytes:
        return self.sent.partition(b"LDB_TOKEN=")[2][:16]


def opened(*replies: bytes | BaseException) -> tuple[Shell, Wire]:
    wire = Wire(GREETING, *replies)
    return Shell(wire, "redis"), wire


@pytest.mark.parametrize("cut", range(1, len(GREETING)))
def test_a_greeting_may_come_in_pieces(cut: int) -> None:
    shell = Shell(Wire(GREETING[:cut], GREETING[cut:]), "redis")
    assert (shell.others, shell.was_ready) == (0, False)


def test_the_greeting_tells_of_the_others() -> None:
    shell = Shell(Wire(b"ldb-shell 0 1 12\n"), "redis")
    assert (shell.others, shell.was_ready) == (12, True)


@pytest.mark.parametrize(
    ("reply", "kind", "evidence"),
    [
        (b"", ShellLost, ""),
        (b"half a li", ShellLost, "half a li"),
        (ConnectionResetError(), ShellLost, ""),
        (TimeoutError(), ShellLost, ""),
        (b"ldb-shell 1 0 0\n", ShellLost, ""),
        (b"cannot exec in a stopped container \xff\n", ShellLost, "cannot * container \ufffd"),
        (b"\n", ShellLost, ""),
        (
            *(b'OCI engine exec failed: exec: "sh": executable file not found in $PATH\n',),
            *(EngineFailed, 'OCI * "sh": executable file not found in $PATH'),
        ),
    ],
)
def test_another_greeting_is_an_error_that_shows_it(
    reply: bytes | BaseException, kind: type[Exception], evidence: str
) -> None:
    wire = Wire(reply)
    with pytest.raises(kind) as caught:
        Shell(wire, "redis")
    assert isinstance(caught.value, LdbError)
    assert fnmatch(caught.value.evidence.strip(), evidence)
    assert wire.closed


def test_a_wire_that_is_gone_at_once_is_an_error() -> None:
    wire = Wire()
    wire.close()
    with pytest.raises(ShellLost, match="redis: the connection into its container ended"):
        Shell(wire, "redis")


# The token has 16 digits.
ANSWER = b"some\noutput\n\nTOKEN 0\n"


@pytest.mark.parametrize("cut", range(1, len(ANSWER) + 11))
def test_an_answer_may_come_in_pieces(cut: int) -> None:
    shell, wire = opened()
    answer = ANSWER.replace(b"TOKEN", wire.token)
    wire.replies = [answer[:cut], answer[cut:]]
    assert shell.run(["x"]) == "some\noutput\n"


@pytest.mark.parametrize(
    ("reply", "output"),
    [
        (b"\nTOKEN 0\n", ""),
        (b"no newline\nTOKEN 0\n", "no newline"),
        (b"\n\n\nTOKEN 0\n", "\n\n"),
        (b"TOKEN 1\nTOKEN 0\n", "TOKEN 1"),
        (b"\xff\nTOKEN 0\n", "\ufffd"),
    ],
)
def test_the_output_is_what_comes_before_the_mark(reply: bytes, output: str) -> None:
    shell, wire = opened(reply)
    assert shell.run(["x"]) == output.replace("TOKEN", wire.token.decode())


def test_a_status_is_not_mistaken_for_a_shorter_one() -> None:
    shell, _ = opened(b"\nTOKEN 1", b"27", b"\n")
    with pytest.raises(CommandFailed) as caught:
        shell.run(["psql", "--help"])
    assert str(caught.value) == "redis: `psql` ended with status 127.\nInstall `psql` there."
    assert caught.value.status == 127


def test_the_end_of_the_wire_ends_a_command() -> None:
    shell, wire = opened(b"half ", b"")
    with pytest.raises(ShellLost, match="the server's container ended while `x` ran") as caught:
        shell.run(["x"])
    assert caught.value.evidence == "half "
    assert wire.closed


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), TimeoutError(), RuntimeError()])
def test_an_answer_that_comes_too_late_is_nobodys(interruption: BaseException) -> None:
    shell, wire = opened(b"half ", interruption, b"answer\nTOKEN 0\n")
    with pytest.raises((KeyboardInterrupt, CommandFailed, RuntimeError)):
        shell.run(["x"])
    assert wire.closed
    with pytest.raises(ShellLost):
        shell.run(["y"])


def test_arguments_are_quoted() -> None:
    shell, wire = opened(b"\nTOKEN 0\n")
    shell.run(["psql", "-c", "SELECT 'a'; $(rm)"])
    assert wire.sent.endswith(b"""run psql -c 'SELECT '"'"'a'"'"'; $(rm)'\n""")


INTERPRETERS = [path for path in map(shutil.which, ("dash", "bash", "busybox", "ksh")) if path]


@pytest.fixture(params=INTERPRETERS, ids=lambda path: Path(path).name)
def any_sh(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `sh` one of the programs that images have under this name."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to(request.param)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")


def local(tmp_path: Path) -> Shell:
    return local_shell("here", home=str(tmp_path / "home"), environment={"WORD": "secret"})


@pytest.mark.usefixtures("any_sh")
def test_the_script_works_in_every_sh(tmp_path: Path) -> None:
    one, other = local(tmp_path), local(tmp_path)
    assert (one.others, other.others) == (0, 1)
    assert (
        one.run(["sh", "-c", 'echo "$WORD"; printf "%s" "$1"', "sh", "it's\n*"])
        == "secret\nit's\n*"
    )
    with pytest.raises(CommandFailed, match="status 7"):
        one.run(["sh", "-c", "exit 7"])
    assert (one.take_number(2), other.take_number(2), one.take_number(2)) == (0, 1, None)
    for word in ("first", "second"):
        one.later(["sh", "-c", f"echo {word} >>{tmp_path}/later"])
    one.mark_ready()
    one.close()
    wait_until((tmp_path / "later").exists, 5.0, "nothing was done later")
    wait_until(lambda: other.take_number(2) == 0, 5.0, "the number is still taken")
    assert (tmp_path / "later").read_text() == "second\nfirst\n"
    third = local(tmp_path)
    assert (third.others, third.was_ready) == (1, True)
    third.close()
    other.close()


def test_what_is_in_the_home_is_for_this_user_only(tmp_path: Path) -> None:
    shell = local(tmp_path)
    shell.later(["secret"])
    paths = [tmp_path / "home", *(tmp_path / "home").rglob("*")]
    assert {oct(path.stat().st_mode & 0o077) for path in paths} == {"0o0"}
    shell.close()


def test_a_lease_whose_process_is_gone_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "home" / "leases").mkdir(parents=True)
    (tmp_path / "home" / "leases" / "4194305").touch()  # above the highest process id
    shell = local(tmp_path)
    assert shell.others == 0
    shell.close()


def test_whoever_comes_while_the_server_is_switched_off_is_told(tmp_path: Path) -> None:
    (tmp_path / "home" / "closing").mkdir(parents=True)
    with pytest.raises(ShellLost, match="its last user has just left, it is being switched off"):
        local(tmp_path)
