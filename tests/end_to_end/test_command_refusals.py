"""What the command pytest-ldb refuses, with which message, and what stays unchanged."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from .command import User
from .conftest import docker

NAMING = ("start", "stop", "restart", "delete", "status", "logs", "url", "shell")
"""The commands that take the name of a server."""

NOWHERE = "unix:///nowhere"
POSTGRES, REDIS = (os.environ.get(f"LDB_{name}_IMAGE", "") for name in ("POSTGRES", "REDIS"))


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    """A user without servers."""
    user = User(tmp_path / "state")
    yield user
    user.clean_up()


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """A user with two servers whose names share a prefix."""
    owner = User(tmp_path_factory.mktemp("state"))
    for ending in ("one", "other"):
        owner.create("redis", f"--name={owner.mark}-{ending}")
    yield owner
    owner.clean_up()


@pytest.fixture
def foreign() -> Iterator[str]:
    """The name of a foreign container with the prefix of pytest-ldb."""
    name = f"x{uuid4().hex[:8]}"
    docker("create", "--name", f"ldb-{name}", REDIS)
    yield name
    docker("rm", "--force", "--volumes", f"ldb-{name}")


@pytest.mark.parametrize(
    "arguments",
    [
        *(f"{command} any" for command in NAMING),
        *("create redis", "list", "list --json", "pull redis", "cache", "cache --delete"),
        *("prune", "prune --dry-run --json", "delete --all"),
    ],
)
def test_missing_engine_is_an_error_with_a_remedy(user: User, arguments: str) -> None:
    done = user.run(*arguments.split(), DOCKER_HOST=NOWHERE).refused()
    said = done.errors.splitlines()
    assert said[0] == f"the container engine at {NOWHERE}: no container engine answers."
    assert said[-1] == "Start Docker, or point DOCKER_HOST at an engine that runs."
    assert len(said) == 3


def test_doctor_reports_a_missing_engine(user: User) -> None:
    done = user.run("doctor", "--json", DOCKER_HOST=NOWHERE)
    assert done.status == 1
    assert done.errors == "1 problem\n"
    (problem,) = [one for one in json.loads(done.output) if one["level"] == "problem"]
    assert "no container engine answers" in problem["fact"]
    assert "Start Docker" in problem["remedy"]


def test_help_and_completion_need_no_engine(user: User) -> None:
    for arguments in (["--help"], ["create", "-h"], ["--version"], ["completion", "bash"]):
        assert user.run(*arguments, DOCKER_HOST=NOWHERE).well().errors == ""
    asked = {"_PYTEST_LDB_COMPLETE": "bash_complete", "COMP_CWORD": "2"}
    words = {**asked, "COMP_WORDS": "pytest-ldb stop "}
    done = user.run(DOCKER_HOST=NOWHERE, **words).well()
    assert (done.output.strip(), done.errors) == ("", "")


def test_completion_offers_commands_types_and_names(owner: User) -> None:
    asked = {"_PYTEST_LDB_COMPLETE": "bash_complete", "COMP_CWORD": "2"}

    def offered(words: str) -> list[str]:
        done = owner.run(COMP_WORDS=f"pytest-ldb {words}", **asked).well()
        return [line.partition(",")[2] for line in done.output.split()]

    names = [f"{owner.mark}-one", f"{owner.mark}-other"]
    assert offered("create ") == ["postgres", "mysql", "mongodb", "redis"]
    assert offered("create m") == ["mysql", "mongodb"]
    assert offered("stop ") == offered(f"logs {owner.mark}") == names
    assert offered("stop x") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_requires_a_known_shell(user: User, shell: str) -> None:
    assert "_PYTEST_LDB_COMPLETE" in user.run("completion", shell).well().output


@pytest.mark.parametrize("command", NAMING)
def test_name_must_match_a_server_of_the_user(
    owner: User, user: User, foreign: str, command: str
) -> None:
    spared = [f"ldb-{foreign}", *owner.containers()]
    before = docker("inspect", *spared)
    absent = owner.run(command, "absent").refused()
    assert "absent: pytest-ldb has no server of this name." in absent.errors
    assert "Run `pytest-ldb list` to list all servers." in absent.errors
    ambiguous = owner.run(command, owner.mark).refused()
    assert f"{owner.mark}: 2 servers match this name." in ambiguous.errors
    assert f"    {owner.mark}-one\n    {owner.mark}-other\n" in ambiguous.errors
    other = user.run(command, f"{owner.mark}-one").refused()
    assert "this server belongs to another user of pytest-ldb" in other.errors
    assert "did not create has this name" in owner.run(command, foreign).refused().errors
    assert docker("inspect", *spared) == before


def test_one_wrong_name_prevents_the_whole_command(owner: User) -> None:
    for command in ("stop", "restart", "delete"):
        owner.run(command, f"{owner.mark}-one", "absent").refused()
    assert {one["status"] for one in owner.json("list")} == {"running"}


def test_names_may_be_prefixes_and_repeated(owner: User) -> None:
    identity = owner.json("status", f"{owner.mark}-one")["id"]
    for name in (f"{owner.mark}-on", f"ldb-{owner.mark}-one", "one", identity, identity[:8]):
        assert owner.json("status", name)["id"] == identity
    assert owner.run("start", "one", f"{owner.mark}-one").well().output == f"{owner.mark}-one\n"


def test_existing_name_is_refused(owner: User, user: User, foreign: str) -> None:
    name = f"{owner.mark}-one"
    done = owner.run("create", "redis", f"--name={name}").refused()
    assert f"{name}: a server with this name exists." in done.errors
    user.run("create", "redis", f"--name={name}").refused()
    done = user.run("create", "redis", f"--name={foreign}").refused()
    assert "did not create has this name" in done.errors
    assert user.containers() == user.volumes() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "oracle"], "There are: postgres, mysql, mongodb, redis."),
        (["create", "redis", "--name=a b"], "this is not a valid name for a server"),
        (["create", "redis", "--name=../up"], "this is not a valid name for a server"),
        (["create", "redis", f"--name={'n' * 101}"], "at most 100"),
        (["create", "redis", "--port=0"], "0 is not in the range"),
        (["create", "redis", "--port=many"], "not a valid integer"),
        (["create"], "Missing argument 'TYPE'"),
        (["stop"], "Missing argument 'NAME...'"),
        (["delete"], "Give names of servers, or --all."),
        (["delete", "any", "--all"], "Give names of servers, or --all."),
        (["list", "--yaml"], "No such option"),
        (["logs", "any", "--tail=-1"], "-1 is not in the range"),
        (["pull", "oracle"], "no database type has this name"),
        (["completion", "csh"], "'csh' is not one of"),
        (["--timeout=0", "list"], "0.0 is not in the range"),
        (["grow"], "No such command"),
    ],
)
def test_usage_errors(user: User, arguments: list[str], said: str) -> None:
    assert said in user.run(*arguments).refused(2).errors


def test_failed_pull_does_not_stop_the_other_pulls(user: User) -> None:
    absent = "localhost:1/ldb/absent:1"
    done = user.run("pull", absent, "localhost:1/ldb/more:1", "redis", LDB_REDIS_IMAGE=absent)
    assert (done.status, done.output) == (1, "")
    assert done.errors.count("the image could not be pulled") == 2


def test_port_in_use_is_reported_with_its_owner(user: User, owner: User) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = user.run("create", "redis", f"--port={port}").refused()
    listener = (
        f"redis: port {port} is already in use by {Path('/proc/self/comm').read_text().strip()}"
    )
    assert f"{listener} (process {os.getpid()})." in done.errors
    one = owner.json("status", "one")
    port = one["address"]["port"]
    done = user.run("create", "redis", "--name=me", f"--port={port}").refused()
    assert f"me: port {port} is already in use by the container {one['container']}." in done.errors
    assert user.containers() == user.volumes() == []


def test_chosen_port_survives_a_restart(user: User) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    name = user.create("redis", f"--name={user.mark}", f"--port={port}")
    user.run("restart", name).well()
    assert user.json("status", name)["address"]["port"] == port
    user.run("stop", name).well()
    with socket.create_server(("127.0.0.1", port)):
        done = user.run("start", name).refused()
    assert f"{name}: port {port} is already in use by" in done.errors
    user.run("start", name).well()


def test_unsuitable_volume_is_refused_and_unchanged(user: User, owner: User) -> None:
    volume = f"volume-{user.mark}"
    docker("volume", "create", volume)
    try:
        done = user.run("create", "redis", f"--volume={volume}").refused()
        assert f"{volume}: pytest-ldb did not create this volume for this user" in done.errors
    finally:
        docker("volume", "rm", volume)
    theirs = f"ldb-{owner.mark}-one"
    done = user.run("create", "redis", f"--volume={theirs}").refused()
    assert "pytest-ldb did not create this volume for this user" in done.errors
    done = owner.run("create", "postgres", "--name=me", f"--volume={theirs}").refused()
    assert f"{theirs}: it contains data of redis, which postgres cannot read." in done.errors
    done = owner.run("create", "redis", "--name=me", f"--volume={theirs}").refused()
    assert f"{theirs}: server {owner.mark}-one uses it." in done.errors
    assert user.containers() == user.volumes() == []
    assert len(owner.containers()) == len(owner.volumes()) == 2


def test_failed_creation_keeps_a_preexisting_volume_only(user: User) -> None:
    done = user.run("create", "postgres", f"--name={user.mark}", f"--image={REDIS}").refused()
    assert user.mark in done.errors
    assert user.containers() == user.volumes() == []
    name = user.create("redis", f"--name={user.mark}")
    user.run("delete", name).well()
    user.run("create", "redis", f"--name={name}", f"--image={POSTGRES}").refused()
    assert user.containers() == []
    assert user.volumes() == [f"ldb-{name}"]


def test_wrong_image_error_names_the_server(user: User, wrong_image: str) -> None:
    wanted = "create", "redis", f"--name={user.mark}", f"--image={wrong_image}"
    assert user.run(*wanted).refused().errors.startswith(f"ldb-{user.mark}: its command cannot be")
    assert user.containers() == user.volumes() == []


def test_missing_cli_extra_names_the_package_to_install(tmp_path: Path) -> None:
    for missing in ("click", "rich", "psutil"):
        (tmp_path / f"{missing}.py").write_text(
            f"raise ModuleNotFoundError('none', name={missing!r})\n"
        )
        done = subprocess.run(
            [sys.executable, "-m", "pytest_ldb", "list"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
            capture_output=True,
            text=True,
            check=False,
        )
        (tmp_path / f"{missing}.py").unlink()
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"pytest-ldb: the command needs {missing}")
        assert "Run `pip install 'pytest-ldb[cli]'`." in done.stderr


def test_closed_output_pipe_is_no_failure(owner: User) -> None:
    process = owner.start("logs", "one")
    assert process.stdout
    process.stdout.close()
    assert process.wait(timeout=30) == 0
    assert process.stderr
    assert process.stderr.read() == ""


def test_closed_stdin_is_empty_input(owner: User) -> None:
    command = f'exec "{sys.executable}" -m pytest_ldb shell one PING <&-'
    done = subprocess.run(
        ["sh", "-c", command], env=owner.environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "PONG\n", "")
