"""Persistent shells: the protocol and the script in the container."""

from __future__ import annotations

import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from threading import Timer

import pytest

from pytest_ldb.model.errors import CommandFailed, EngineFailed, LdbError, ShellLost
from pytest_ldb.shell.local import local_shell
from pytest_ldb.shell.shell import Shell
from pytest_ldb.testing.processes import wait_until

from .conftest import kill_group, process_of

GREETING = b"ldb-shell 0 0 0\n"


class Wire:
    """A stream that delivers the given chunks and raises given exceptions."""

    def __init__(self, *replies: bytes | BaseException) -> None:
        self.replies = list(replies)
        self.sent = b""
        self.closed = False

    def send(self, data: bytes) -> None:
        if self.closed:
            raise BrokenPipeError("closed on this side")
        self.sent += data

    def receive(self, _: float) -> bytes:
        reply = self.replies.pop(0) if self.replies else TimeoutError()
        if isinstance(reply, BaseException):
            raise reply
        return reply.replace(b"TOKEN", self.token).replace(b"EARLIER", self.token[:-1] + b"1")

    def close(self) -> None:
        self.closed = True

    @property
    def token(self) -> bytes:
        """The marker at the end of the last response."""
        return (*self.sent.splitlines()[-1].split(), b"", b"")[1]


def opened(*replies: bytes | BaseException) -> tuple[Shell, Wire]:
    wire = Wire(GREETING, *replies)
    return Shell(wire, "redis"), wire


@pytest.mark.parametrize("cut", range(1, len(GREETING)))
def test_greeting_can_arrive_in_chunks(cut: int) -> None:
    shell = Shell(Wire(GREETING[:cut], GREETING[cut:]), "redis")
    assert (shell.others, shell.was_ready) == (0, False)


def test_greeting_has_the_number_of_other_shells() -> None:
    shell = Shell(Wire(b"ldb-shell 0 1 12\n"), "redis")
    assert (shell.others, shell.was_ready) == (12, True)


@pytest.mark.parametrize(
    ("reply", "error_class", "evidence"),
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
def test_unexpected_greeting_is_shown_in_the_error(
    reply: bytes | BaseException, error_class: type[Exception], evidence: str
) -> None:
    wire = Wire(reply)
    with pytest.raises(error_class) as caught:
        Shell(wire, "redis")
    assert isinstance(caught.value, LdbError)
    assert fnmatch(caught.value.evidence.strip(), evidence)
    assert wire.closed


def test_immediately_closed_stream_is_an_error() -> None:
    wire = Wire()
    wire.close()
    with pytest.raises(ShellLost, match="redis: the connection to its shell was lost"):
        Shell(wire, "redis")


ANSWER = b"some\noutput\n\nTOKEN 0\n"


@pytest.mark.parametrize("cut", range(1, len(ANSWER) + 13))
def test_response_can_arrive_in_chunks(cut: int) -> None:
    shell, wire = opened()
    answer = ANSWER.replace(b"TOKEN", f"{shell._token}-1".encode())
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
def test_output_ends_at_the_marker(reply: bytes, output: str) -> None:
    shell, wire = opened(reply)
    answer = shell.run(["x"])
    assert answer == output.replace("TOKEN", wire.token.decode())


def test_status_is_not_parsed_from_a_prefix() -> None:
    shell, _ = opened(b"\nTOKEN 1", b"27", b"\n")
    with pytest.raises(CommandFailed) as caught:
        shell.run(["psql", "--help"])
    assert str(caught.value) == "redis: `psql` ended with status 127.\nInstall `psql` there."
    assert caught.value.status == 127


def test_end_of_stream_ends_a_command() -> None:
    shell, wire = opened(b"half ", b"")
    with pytest.raises(ShellLost, match="the server's container ended while `x` ran") as caught:
        shell.run(["x"])
    assert caught.value.evidence == "half "
    assert wire.closed


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), TimeoutError(), RuntimeError()])
@pytest.mark.parametrize(
    "late", [b" of it\nEARLIER 0\n", b"", b"ER 0\n", b"\nEARLIER 127\n"], ids=repr
)
def test_late_response_is_not_returned_for_the_next_command(
    interruption: BaseException, late: bytes
) -> None:
    shell, wire = opened(b"half ", interruption, late + b"TOKEN\n", b"answer\nTOKEN 0\n")
    with pytest.raises((KeyboardInterrupt, CommandFailed, RuntimeError)):
        shell.run(["x"])
    assert shell.run(["y"]) == "answer"
    wire.replies = [b"next\nTOKEN 0\n"]
    assert shell.run(["z"]) == "next"
    assert wire.sent.count(b"\necho ") == 1


def test_running_command_blocks_the_next_one() -> None:
    shell, wire = opened(TimeoutError(), b"more", TimeoutError())
    with pytest.raises(CommandFailed, match="`x` did not end in time"):
        shell.run(["x"])
    with pytest.raises(CommandFailed) as caught:
        shell.run(["y"])
    fact = "`y` was not run, as a command that was interrupted has not ended"
    assert (caught.value.fact, caught.value.evidence) == (fact, "more")
    assert b" y\n" not in wire.sent


def test_partially_sent_command_ends_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    shell, wire = opened()

    def interrupted(data: bytes) -> None:
        wire.sent += data[:5]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(wire, "send", interrupted)
        with pytest.raises(KeyboardInterrupt):
            shell.run(["x"])
    with pytest.raises(ShellLost, match="the connection to its shell was lost"):
        shell.run(["y"])


def test_forked_child_cannot_use_the_shell() -> None:
    shell, _ = opened()
    with shell._lock:  # like a thread of the parent
        child = os.fork()
        if not child:
            try:
                shell.run(["x"])
            except ShellLost as error:
                os._exit(3 if "`x` cannot be run in a forked child" in str(error) else 4)
            os._exit(5)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3


def test_arguments_are_quoted() -> None:
    shell, wire = opened(b"\nTOKEN 0\n")
    shell.run(["psql", "-c", "SELECT 'a'; $(rm)"])
    line = wire.sent.decode().splitlines()[-1]
    assert line == f"""run {wire.token.decode()} psql -c 'SELECT '"'"'a'"'"'; $(rm)'"""


INTERPRETERS = [path for path in map(shutil.which, ("dash", "bash", "busybox", "ksh")) if path]


@pytest.fixture(params=INTERPRETERS, ids=lambda path: Path(path).name)
def any_sh(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace `sh` by one of the shells that images use as `sh`."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to(request.param)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")


def local(tmp_path: Path) -> Shell:
    return local_shell("here", home=str(tmp_path / "home"), environment={"WORD": "secret"})


@pytest.mark.usefixtures("any_sh")
def test_script_runs_in_every_sh(tmp_path: Path) -> None:
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
    wait_until((tmp_path / "later").exists, 5.0, "the deferred command did not run")
    wait_until(lambda: other.take_number(2) == 0, 5.0, "the number is still taken")
    assert (tmp_path / "later").read_text() == "second\nfirst\n"
    third = local(tmp_path)
    assert (third.others, third.was_ready) == (1, True)
    third.close()
    other.close()


def test_raising_signal_handler_loses_one_command(tmp_path: Path) -> None:
    def interrupt(_number: int, _frame: object) -> None:
        raise RuntimeError("interrupted")

    shell, before = local(tmp_path), signal.signal(signal.SIGUSR1, interrupt)
    try:
        Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(RuntimeError, match="interrupted"):
            shell.run(["sh", "-c", "echo begun; sleep 0.4; echo late"])
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [shell.run(["echo", word]) for word in ("usable", "again")] == ["usable\n", "again\n"]
    shell.close()


def test_file_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    shell = local(tmp_path)
    shell.run(["ulimit", "-f", "64"])
    with pytest.raises(CommandFailed, match=r"there is no place for dump\.sql, 2 MiB") as caught:
        shell.put("dump.sql", bytes(2 << 20))
    assert "Filesystem" in caught.value.evidence
    assert "shm_mib" in caught.value.remedy
    shell.close()


def test_home_directory_is_private(tmp_path: Path) -> None:
    shell = local(tmp_path)
    shell.later(["secret"])
    paths = [tmp_path / "home", *(tmp_path / "home").rglob("*")]
    assert {oct(path.stat().st_mode & 0o077) for path in paths} == {"0o0"}
    shell.close()


def test_lease_of_a_dead_process_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "home" / "leases").mkdir(parents=True)
    for owner in (
        "4194305",
        "4194305-7-boot",
        f"{os.getpid()}-7-boot",
    ):  # one process id is out of range
        (tmp_path / "home" / "leases" / owner).touch()
    shell = local(tmp_path)
    assert shell.others == 0
    shell.close()


def kill(shell: Shell) -> None:
    """Kill a shell and its processes before it can run its deferred commands."""
    kill_group(process_of(shell))
    shell.close()


@pytest.mark.usefixtures("any_sh")
def test_claims_of_a_killed_shell_are_taken_over(tmp_path: Path) -> None:
    killed, other = local(tmp_path), local(tmp_path)
    log = tmp_path / "log"
    renewal = ["renew_initial", f"echo renewed >>{log}", "sh"]
    assert killed.take_number(2) == 0
    killed.later(["sh", "-c", f"echo dropped >>{log}"])
    assert killed.take_number(2, keep=True) == 1
    assert killed.take_initial(renewal)
    assert killed.run(["template_claim", "key", "run"]) == "mine\n"
    assert other.run(["template_claim", "key", "run"]) == "wait\n"
    assert (other.take_number(2), other.take_initial(renewal)) == (None, False)
    assert not log.exists()
    kill(killed)
    assert (other.take_number(2), log.read_text()) == (0, "renewed\ndropped\n")
    assert other.run(["template_claim", "key", "run"]) == "mine\n"
    assert other.take_initial(renewal)
    assert other.take_number(2) is None
    other.run(["free_number", "1"])
    assert other.take_number(2) == 1
    third = local(tmp_path)
    assert third.run(["template_claim", "key", "run"]) == "wait\n"
    assert (third.take_number(2), third.take_initial(renewal), third.others) == (None, False, 1)
    assert {*names(tmp_path, "locks")} == {"initial", "number-0", "number-1", "template-key"}
    third.close()
    other.close()


def test_claims_of_a_killed_shell_are_taken_over_once(tmp_path: Path) -> None:
    killed, others = local(tmp_path), [local(tmp_path) for _ in range(6)]
    killed.take_number(1)
    killed.take_initial(["renew_initial", f"echo renewed >>{tmp_path}/log", "sh"])
    killed.run(["template_claim", "key", "run"])
    kill(killed)
    with ThreadPoolExecutor(len(others)) as pool:
        numbers = list(pool.map(lambda shell: shell.take_number(1), others))
        initials = list(pool.map(lambda shell: shell.take_initial(["true"]), others))
        claim = ["template_claim", "key", "run"]
        claims = list(pool.map(lambda shell: shell.run(claim), others))
    assert (numbers.count(0), numbers.count(None)) == (1, 5)
    assert initials.count(True) == 1
    assert sorted(claims) == ["mine\n", *["wait\n"] * 5]
    assert (tmp_path / "log").read_text() == "renewed\n"
    for shell in others:
        shell.close()


def test_takeover_continues_after_another_kill(tmp_path: Path) -> None:
    killed, second, third = (local(tmp_path) for _ in range(3))
    killed.take_number(1)
    killed.later(["sh", "-c", f"exec >>{tmp_path}/log; echo begun; sleep 0.3; echo done"])
    kill(killed)
    process = process_of(second)
    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(second.take_number, 1)
        wait_until((tmp_path / "log").exists, 5.0, "the takeover has not started")
        kill_group(process)
        with pytest.raises(ShellLost):
            taking.result(10.0)
    assert third.take_number(1) == 0
    assert (tmp_path / "log").read_text() == "begun\nbegun\ndone\n"
    third.close()


@pytest.mark.parametrize(("works", "taken"), [("true", True), ("echo trouble", False)])
def test_initial_database_is_free_after_a_successful_renewal(
    tmp_path: Path, works: str, taken: bool
) -> None:
    leaving, staying = local(tmp_path), local(tmp_path)
    assert leaving.take_initial(["renew_initial", works, "sh"])
    leaving.close()
    wait_until(lambda: not names(tmp_path, "farewell", 1), 5.0, "the shell's cleanup has not ended")
    assert staying.take_initial(["true"]) is taken
    staying.close()


def test_kept_initial_database_stays_taken(tmp_path: Path) -> None:
    leaving, staying = local(tmp_path), local(tmp_path)
    assert leaving.take_initial(["renew_initial", ":", "sh"])
    leaving.forget(["renew_initial", ":", "sh"])
    leaving.close()
    wait_until(lambda: not names(tmp_path, "farewell", 1), 5.0, "the shell's cleanup has not ended")
    assert not staying.take_initial(["true"])
    staying.close()


def names(tmp_path: Path, folder: str, expected: int = 0) -> list[str]:
    """Return the names in a folder of the home, without the first `expected` ones."""
    return [path.name for path in (tmp_path / "home" / folder).iterdir()][expected:]


def test_shell_opened_during_shutdown_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home" / "closing").mkdir(parents=True)
    with pytest.raises(ShellLost, match="its last user has just left, so it is shutting down"):
        local(tmp_path)
