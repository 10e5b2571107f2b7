"""An interrupted command leaves nothing incomplete and keeps what existed before."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from pytest_ldb.testing.processes import wait_until

from .command import User

GONE_WITHIN_S = 10.0
"""A guard waits five seconds for containers that the engine may still be creating."""

INTERRUPTED = 130


def creating(user: User, database_type: str, moment: str, *more: str) -> subprocess.Popen[str]:
    """Start `create` and return its process once it has reached the given moment."""
    process = user.start("create", database_type, f"--name={user.mark}", *more)
    if moment == "created":
        while not user.containers():
            assert process.poll() is None
    elif moment != "0":
        time.sleep(float(moment))
    return process


def nothing_stays(user: User) -> None:
    wait_until(
        lambda: not user.containers() and not user.volumes(),
        GONE_WITHIN_S,
        "a container or volume is left",
    )


@pytest.mark.parametrize("moment", ["0", "0.15", "0.3", "0.4", "0.45", "0.5", "created"])
def test_ctrl_c_during_creation_leaves_nothing(user: User, moment: str) -> None:
    process = creating(user, "mysql", moment)
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert output == ""
    if moment != "0":  # The process may not have started Python yet.
        assert process.returncode in (INTERRUPTED, -signal.SIGINT)
    if moment == "created":
        assert (process.returncode, errors.strip()) == (INTERRUPTED, "interrupted")
    time.sleep(1.0)  # The engine may still be creating it.
    nothing_stays(user)


@pytest.mark.parametrize("database_type", ["postgres", "mongodb", "redis"])
def test_ctrl_c_during_creation_of_each_type(user: User, database_type: str) -> None:
    process = creating(user, database_type, "created")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    nothing_stays(user)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("database_type", ["postgres", "mysql", "mongodb"])
def test_kill_during_creation_leaves_nothing(
    user: User, database_type: str, number: signal.Signals
) -> None:
    process = creating(user, database_type, "created")
    os.killpg(process.pid, number)
    process.communicate(timeout=30)
    nothing_stays(user)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_preexisting_volume_survives_an_interrupted_creation(
    user: User, number: signal.Signals
) -> None:
    name = user.create("redis", f"--name={user.mark}")
    user.run("shell", name, given="SET word kept\nSAVE\n").well()
    user.run("delete", name).well()
    process = user.start("create", "redis", f"--name={name}")
    while not user.containers():
        assert process.poll() is None
    os.killpg(process.pid, number)
    process.communicate(timeout=30)
    if process.returncode == 0:  # The command finished before the signal.
        user.run("delete", name).well()
    wait_until(lambda: not user.containers(), GONE_WITHIN_S, "a container is left")
    assert user.volumes() == [f"ldb-{name}"]
    user.create("redis", f"--name={name}")
    assert user.run("shell", name, "GET", "word").well().output == "kept\n"


def test_ctrl_c_ends_logs_follow_but_not_the_server(user: User) -> None:
    name = user.create("redis", f"--name={user.mark}")
    process = user.start("logs", "--follow", name)
    assert process.stdout
    assert process.stdout.readline()
    user.run("restart", name).well()
    assert process.wait(timeout=30) == 0, "the log ends with the server"
    process = user.start("logs", "--follow", name)
    assert process.stdout
    assert process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors.strip()) == (INTERRUPTED, "interrupted")
    assert user.json("status", name)["status"] == "running"


def test_creation_timeout_leaves_nothing(user: User) -> None:
    done = user.run("--timeout=0.05", "create", "postgres", f"--name={user.mark}").refused()
    assert "0.05 s" in done.errors
    assert user.containers() == user.volumes() == []


def test_concurrent_creations_get_different_names(user: User) -> None:
    processes = [user.start("create", "redis") for _ in range(3)]
    names = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(names) == sorted(one["name"] for one in user.json("list"))
    assert len(set(names)) == 3
    user.run("delete", "--all", "--volumes").well()
    assert user.containers() == user.volumes() == []
