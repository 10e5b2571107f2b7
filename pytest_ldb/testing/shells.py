"""Tests of the shells of an engine: they run commands, and hold their server."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ..engines.protocol import Container, Engine
from ..model.errors import CommandFailed, ShellLost
from ..shell.shell import Shell
from .containers import ENDS_S, Containers
from .owners import OwnerContract
from .processes import holding, wait_until

GONE_WITHIN_S = 2.0
"""Maximum time until an ephemeral server is removed after its last shell ended."""

STAYS_S = 0.8
"""An ephemeral server without a shell is switched off in less time than this."""


class ShellContract(OwnerContract):
    """Tests that every shell must pass; a part of ``EngineContract``."""

    root = ""

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, containers: Containers) -> Container:
        """A server that is not ephemeral: it runs without a shell."""
        return containers.serve()

    @pytest.fixture
    def shell(self, containers: Containers, server: Container) -> Iterator[Shell]:
        """The only shell in the server's container."""
        opened = _open(containers, server.id)
        yield opened
        opened.close()
        wait_until(lambda: _others(containers, server.id) == 0, ENDS_S, "the shell is still there")

    def test_shell_returns_command_output(self, shell: Shell) -> None:
        assert shell.run(["sh", "-c", "echo out; echo error >&2; printf end"]) == "out\nerror\nend"

    def test_failing_command_reports_status_and_output(self, shell: Shell) -> None:
        with pytest.raises(CommandFailed) as caught:
            shell.run(["sh", "-c", "echo reason; exit 7"])
        assert "`sh` ended with status 7" in str(caught.value)
        assert "reason" in caught.value.evidence
        assert shell.run(["echo", "usable"]) == "usable\n"

    def test_missing_command_fails(self, shell: Shell) -> None:
        with pytest.raises(CommandFailed, match="`ldb-absent` ended with status 127"):
            shell.run(["ldb-absent"])

    @pytest.mark.parametrize(
        "argument",
        [
            "",
            " ",
            "it's",
            '"$HOME" `id` $(id)',
            "two\nlines\n",
            "\\ \\n",
            "naïve ☃",
            "-n",
            "*",
            "!",
        ],
    )
    def test_arguments_are_passed_unchanged(self, shell: Shell, argument: str) -> None:
        assert shell.run(["printf", "[%s]", argument]) == f"[{argument}]"

    def test_command_has_empty_input(self, shell: Shell) -> None:
        assert shell.run(["cat"]) == ""

    def test_large_output_arrives_completely(self, shell: Shell) -> None:
        script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done"
        lines = shell.run(["sh", "-c", script]).splitlines()
        assert lines == [f"line {number}" for number in range(20000)]

    def test_concurrent_threads_get_their_own_output(self, shell: Shell) -> None:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda n: shell.run(["echo", str(n)]), range(40)))
        assert answers == [f"{number}\n" for number in range(40)]

    def test_command_after_a_timeout_waits_for_the_previous_one(self, shell: Shell) -> None:
        with pytest.raises(CommandFailed, match="`sh` did not end in time"):
            shell.run(["sh", "-c", "echo begun; sleep 0.5; echo late"], timeout_s=0.1)
        with pytest.raises(CommandFailed, match="`echo` was not run"):
            shell.run(["echo", "lost"], timeout_s=0.1)
        assert shell.run(["echo", "usable"]) == "usable\n"
        assert shell.run(["echo", "again"]) == "again\n"

    def test_environment_is_passed_to_commands(
        self, containers: Containers, server: Container
    ) -> None:
        environment = {"WORD": "it's secret", "LDB_PROFILE": 'OTHER="$WORD too"; export OTHER'}
        shell = _open(containers, server.id, environment=environment)
        assert shell.run(["sh", "-c", 'echo "$WORD, $OTHER"']) == "it's secret, it's secret too\n"
        shell.close()

    def test_deferred_commands_run_in_reverse_order(
        self, containers: Containers, server: Container, shell: Shell
    ) -> None:
        path = f"{self.root}/ldb-contract-later"
        leaving = _open(containers, server.id)
        for word in ("first", "it's second"):
            leaving.later(["sh", "-c", 'echo "$1" >>"$2"', "sh", word, path])
        with pytest.raises(CommandFailed):
            shell.run(["cat", path])
        leaving.close()
        wait_until(lambda: "first" in _content(shell, path), ENDS_S, "nothing was done later")
        assert _content(shell, path) == "it's second\nfirst\n"

    def test_deferred_command_can_be_cancelled(
        self, containers: Containers, server: Container, shell: Shell
    ) -> None:
        path = f"{self.root}/ldb-contract-forgotten"
        script = '\nfile=$1\n\nprintf "%s," "$2" >>"$file"\n'
        commands = [["sh", "-c", script, "sh", path, word] for word in ("a", "b", "c\\n")]
        leaving = _open(containers, server.id)
        for command in commands:
            leaving.later(command)
        leaving.forget(commands[1])
        leaving.forget(["never", "left"])
        leaving.close()
        wait_until(lambda: "a" in _content(shell, path), ENDS_S, "nothing was done later")
        assert _content(shell, path) == "c\\n,a,"

    def test_deferred_commands_wait_for_the_running_command(
        self, containers: Containers, server: Container, shell: Shell
    ) -> None:
        path = f"{self.root}/ldb-contract-busy"
        leaving = _open(containers, server.id)
        leaving.later(["sh", "-c", f"echo dropped >>{path}"])
        with pytest.raises(CommandFailed, match="did not end in time"):
            leaving.run(["sh", "-c", f"sleep 0.5; echo made >>{path}"], timeout_s=0.1)
        leaving.close()
        wait_until(lambda: "dropped" in _content(shell, path), ENDS_S, "nothing was done later")
        assert _content(shell, path) == "made\ndropped\n"

    def test_file_is_written_unchanged(self, shell: Shell) -> None:
        content = bytes(range(256)) * 700
        path = shell.put("it's a file.sql", content)
        assert path.endswith("/it's a file.sql")
        checksum = shell.run(["cksum", path]).split()[1]
        assert int(checksum) == len(content)
        encoded = shell.run(["sh", "-c", 'head -c 300 "$1" | base64', "sh", path])
        assert b64decode(encoded) == content[:300]
        assert shell.put("it's a file.sql", b"") != path

    def test_deferred_commands_run_after_a_kill(
        self,
        containers: Containers,
        make_engine: Callable[[], Engine],
        server: Container,
        shell: Shell,
    ) -> None:
        path = f"{self.root}/ldb-contract-killed"
        process = holding(make_engine, server.id, later=["sh", "-c", f"echo done >{path}"])
        assert _others(containers, server.id) == 2
        process.kill()
        wait_until(lambda: _content(shell, path) == "done\n", ENDS_S, "nothing was done later")

    def test_ready_mark_is_visible_to_later_shells(self, containers: Containers) -> None:
        server = containers.serve()
        first, second = _open(containers, server.id), _open(containers, server.id)
        assert not first.was_ready
        assert not second.was_ready
        second.mark_ready()
        later = _open(containers, server.id)
        assert later.was_ready
        for shell in (first, second, later):
            shell.close()

    def test_restart_clears_the_ready_mark(self, containers: Containers) -> None:
        server = containers.serve()
        shell = _open(containers, server.id)
        shell.mark_ready()
        shell.close()
        containers.engine.stop(server.id)
        containers.engine.start(server.id).close()
        again = _open(containers, server.id)
        assert (again.was_ready, again.others) == (False, 0)
        again.close()

    def test_is_first_is_true_for_one_of_many_shells(
        self, containers: Containers, server: Container
    ) -> None:
        shells = [_open(containers, server.id) for _ in range(3)]
        with ThreadPoolExecutor(3) as pool:
            for occasion in ("cafe0123-1", "cafe0123-5"):
                first = list(pool.map(lambda shell: shell.is_first(occasion), shells))  # noqa: B023
                assert sorted(first) == [False, False, True]
        for shell in shells:
            shell.close()

    def test_shell_counts_other_shells(self, containers: Containers, server: Container) -> None:
        while (shell := _open(containers, server.id)).others:
            shell.close()  # Shells of the previous test may still be ending.
        shells = [shell, *(_open(containers, server.id) for _ in range(2))]
        assert [shell.others for shell in shells] == [0, 1, 2]
        for shell in shells:
            shell.close()
        wait_until(lambda: _others(containers, server.id) == 0, ENDS_S, "they are still counted")

    def test_shell_ends_with_its_container(self, containers: Containers) -> None:
        server = containers.serve()
        shell, other = _open(containers, server.id), _open(containers, server.id)
        path = f"{self.root}/ldb-contract-begun"
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(shell.run, ["sh", "-c", f"echo begun >{path}; exec sleep 60"])
            wait_until(lambda: _content(other, path) == "begun\n", ENDS_S, "it did not begin")
            containers.engine.remove(server.id)
            with pytest.raises(ShellLost, match="ended while `sh` ran"):
                running.result(ENDS_S)
        for lost in (shell, other):
            with pytest.raises(ShellLost):
                lost.run(["true"])
            lost.close()

    def test_shell_in_a_stopped_container_is_an_error(self, containers: Containers) -> None:
        created = containers.create()
        for container in (created, "ldb-contract-absent"):
            with pytest.raises(ShellLost):
                _open(containers, container)

    def test_last_shell_stops_an_ephemeral_server(self, containers: Containers) -> None:
        server = containers.serve(auto_remove=True)
        watch = containers.engine.watch(server.id)
        first, last = (_open(containers, server.id, ephemeral=True) for _ in range(2))
        first.close()
        assert watch.ended(STAYS_S) is None
        assert last.run(["echo", "usable"]) == "usable\n"
        last.close()
        containers.wait_until_gone(server.id, GONE_WITHIN_S)
        watch.close()

    def test_kept_server_outlives_its_shells(self, containers: Containers) -> None:
        server = containers.serve()
        watch = containers.engine.watch(server.id)
        _open(containers, server.id).close()
        assert watch.ended(STAYS_S) is None
        watch.close()

    def test_killed_process_releases_the_server(
        self, containers: Containers, make_engine: Callable[[], Engine]
    ) -> None:
        server = containers.serve(auto_remove=True)
        process = holding(make_engine, server.id)
        assert containers.engine.find(server.id) == server
        process.kill()
        containers.wait_until_gone(server.id, GONE_WITHIN_S)

    def test_killed_process_does_not_stop_a_server_in_use(
        self, containers: Containers, make_engine: Callable[[], Engine]
    ) -> None:
        server = containers.serve(auto_remove=True)
        watch = containers.engine.watch(server.id)
        shell = _open(containers, server.id, ephemeral=True)
        holding(make_engine, server.id).kill()
        assert watch.ended(STAYS_S) is None
        shell.close()
        containers.wait_until_gone(server.id, GONE_WITHIN_S)
        watch.close()

    def test_forked_child_does_not_hold_the_server(
        self, containers: Containers, make_engine: Callable[[], Engine]
    ) -> None:
        server = containers.serve(auto_remove=True)
        process = holding(make_engine, server.id, forks=True)
        process.kill()
        containers.wait_until_gone(server.id, GONE_WITHIN_S)
        process.kill_child()

    def test_starting_server_can_be_held(self, containers: Containers) -> None:
        identity, watch = containers.start(auto_remove=True)
        _open(containers, identity, ephemeral=True).close()
        containers.wait_until_gone(identity, GONE_WITHIN_S)
        watch.close()

    def test_server_ignoring_signals_is_stopped(self, containers: Containers) -> None:
        script = "trap '' TERM INT QUIT; echo deaf; while sleep 60; do :; done"
        identity, watch = containers.run(script, auto_remove=True)
        wait_until(lambda: "deaf" in watch.log(5), ENDS_S, "nothing in the log")
        _open(containers, identity, ephemeral=True).close()
        containers.wait_until_gone(identity, GONE_WITHIN_S)
        watch.close()


def _open(
    containers: Containers,
    container: str,
    *,
    environment: dict[str, str] | None = None,
    ephemeral: bool = False,
) -> Shell:
    return containers.engine.shell(container, environment=environment or {}, ephemeral=ephemeral)


def _others(containers: Containers, container: str) -> int:
    shell = _open(containers, container)
    shell.close()
    return shell.others


def _content(shell: Shell, path: str) -> str:
    try:
        return shell.run(["cat", path])
    except CommandFailed:
        return ""
