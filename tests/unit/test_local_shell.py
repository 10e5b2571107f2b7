"""Streams of local processes."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

import pytest

from pytest_ldb.shell.local import ProcessStream, local_shell
from pytest_ldb.shell.shell import Client
from pytest_ldb.testing.processes import wait_until


def test_process_reads_and_writes() -> None:
    stream = ProcessStream("read -r word; echo $word $NAME; echo error >&2", {"NAME": "b"})
    stream.send(b"a\n")
    text = b""
    with suppress(TimeoutError):
        while chunk := stream.receive(5.0):
            text += chunk
    assert text == b"a b\nerror\n"
    stream.close()


def test_silent_process_is_a_timeout() -> None:
    stream = ProcessStream("read -r never", {})
    with pytest.raises(TimeoutError):
        stream.receive(0.01)
    stream.close()


def test_closed_process_rejects_input() -> None:
    stream = ProcessStream("cat", {})
    stream.close()
    stream.close()
    with pytest.raises(OSError):  # noqa: PT011 - any of them
        stream.send(b"x")
    with pytest.raises(OSError):  # noqa: PT011
        stream.receive(0.0)


def test_exited_process_can_be_closed() -> None:
    stream = ProcessStream("exit", {})
    stream._process.wait(5.0)
    assert stream.receive(5.0) == b""
    with pytest.raises(BrokenPipeError):
        stream.send(b"x")
    stream.close()


def test_process_ends_with_its_input(tmp_path: Path) -> None:
    stream = ProcessStream(f"cat; mkdir {tmp_path}/ended", {})
    stream.close()
    wait_until((tmp_path / "ended").exists, 5.0, "the process did not end")


def test_works_with_many_open_files() -> None:
    """``select`` fails on descriptors from 1024 on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2048, hard), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        stream = ProcessStream("read -r word; echo $word", {})
        stream.send(b"here\n")
        assert stream.receive(5.0) == b"here\n"
        stream.close()
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_shell_waits_for_its_client(tmp_path: Path) -> None:
    """Otherwise the client would be a zombie of process 1 of the container, a server."""
    home, ended = tmp_path / "home", tmp_path / "ended"
    script = 'while read -r line; do echo "$line"; done; sleep 0.3; mkdir "$0"'
    shell = local_shell("x", home=str(home), environment={})
    answer = shell.feed(Client(("sh", "-c", script, str(ended)), "{mark}"), "hello")
    assert answer.strip() == "hello"
    shell.close()
    wait_until(lambda: not list((home / "busy").iterdir()), 10.0, "the shell has not ended")
    assert ended.exists()
