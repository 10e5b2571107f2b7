"""Tests of exclusive ownership: what a shell owns is free when it ends, even if it is killed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..engines.protocol import Container
from ..shell.shell import Shell
from .containers import ENDS_S, Containers
from .processes import wait_until

CLAIM = ("template_claim", "key", "cafe0123")


class OwnerContract:
    """Tests of ownership that every shell must pass; a part of ``ShellContract``."""

    root = ""

    @pytest.fixture
    def pair(self, containers: Containers) -> Iterator[tuple[Shell, Shell]]:
        """Two shells in a new container."""
        server = containers.serve()
        pair = _open(containers, server), _open(containers, server)
        yield pair
        for shell in pair:
            shell.close()

    def test_number_is_taken_until_its_shell_ends(self, pair: tuple[Shell, Shell]) -> None:
        leaving, other = pair
        assert [other.take_number(2), leaving.take_number(2), other.take_number(2)] == [0, 1, None]
        leaving.close()
        wait_until(lambda: other.take_number(2) == 1, ENDS_S, "the number is still taken")

    def test_initial_database_is_free_after_its_renewal(self, pair: tuple[Shell, Shell]) -> None:
        leaving, other = pair
        path = f"{self.root}/ldb-contract-renewed"
        renewal = ["renew_initial", f"echo renewed >>{path}", "sh"]
        assert [leaving.take_initial(renewal), other.take_initial(renewal)] == [True, False]
        leaving.close()
        wait_until(lambda: other.take_initial(renewal), ENDS_S, "it is still taken")
        assert other.run(["cat", path]) == "renewed\n"

    def test_claim_ends_with_its_shell(self, pair: tuple[Shell, Shell]) -> None:
        leaving, other = pair
        assert [leaving.run(CLAIM), other.run(CLAIM)] == ["mine\n", "wait\n"]
        leaving.close()
        wait_until(lambda: other.run(CLAIM) == "mine\n", ENDS_S, "it is still claimed")

    def test_claims_of_a_killed_shell_are_freed_after_its_cleanup(
        self, pair: tuple[Shell, Shell]
    ) -> None:
        killed, other = pair
        path = f"{self.root}/ldb-contract-buried"
        renewal = ["renew_initial", f"echo renewed >>{path}", "sh"]
        assert (killed.take_number(1), killed.take_initial(renewal)) == (0, True)
        killed.later(["sh", "-c", f"echo dropped >>{path}"])
        assert [killed.run(CLAIM), other.run(CLAIM)] == ["mine\n", "wait\n"]
        assert (other.take_number(1), other.take_initial(renewal)) == (None, False)
        _kill(killed, other)
        wait_until(lambda: other.run(CLAIM) == "mine\n", ENDS_S, "it is still claimed")
        assert other.run(["cat", path]) == "dropped\nrenewed\n"
        assert (other.take_number(1), other.take_initial(renewal)) == (0, True)
        assert other.run(["cat", path]) == "dropped\nrenewed\n"


def _open(containers: Containers, server: Container) -> Shell:
    return containers.engine.shell(server.id, environment={}, ephemeral=False)


def _kill(shell: Shell, other: Shell) -> None:
    """Kill all processes of a shell, so that it cannot run its deferred commands."""
    owner = shell.run(["sh", "-c", 'echo "$LDB_LEASE"']).partition("-")[0]
    other.run(["kill", "-KILL", f"-{owner}"])
