"""Tests of client programs that shells keep open."""

from __future__ import annotations

import pytest

from ..engines.protocol import Container
from ..model.errors import CommandFailed
from ..shell.shell import CLIENT_ENDED, Client, Shell
from .containers import ENDS_S, Containers
from .processes import wait_until


class ClientContract:
    """Tests that every shell must pass with a client; a part of ``EngineContract``."""

    root = ""

    def test_client_is_reused_across_statements(self, shell: Shell) -> None:
        client = Client(("sh",), "echo {mark}")
        assert shell.feed(client, "word=kept") == ""
        assert shell.feed(client, "echo $word; echo error >&2") == "kept\nerror\n"
        assert shell.run(["echo", "usable"]) == "usable\n"
        assert shell.feed(client, "printf '%s\\n' '*  \\t'") == "*  \\t\n"
        assert shell.feed(client, "pwd") == shell.run(["sh", "-c", 'cd "$LDB_HOME"; pwd'])

    def test_large_input_and_output_do_not_block(self, shell: Shell) -> None:
        client = Client(("sh",), "echo {mark}")
        numbers = [str(number) for number in range(20000)]
        statements = "\n".join(f"echo {number}" for number in numbers)
        assert shell.feed(client, statements).split() == numbers
        assert shell.feed(client, "echo again") == "again\n"

    def test_client_greeting_is_not_part_of_the_output(self, shell: Shell) -> None:
        client = Client(("sh", "-c", "echo hello; exec sh"), "echo {mark}")
        assert shell.feed(client, "echo answer") == "answer\n"

    def test_exited_client_is_reported_and_restarted(self, shell: Shell) -> None:
        client = Client(("sh",), "echo {mark}")
        for _ in range(2):
            with pytest.raises(CommandFailed, match="`sh` ended with status 69") as caught:
                shell.feed(client, "echo reason; exit 3")
            assert (caught.value.evidence, caught.value.status) == ("reason\n", CLIENT_ENDED)
        shell.feed(client, "me=$$; (sleep 0.1; kill $me) & :")
        wait_until(lambda: _ended(shell, client), ENDS_S, "it has not ended")
        assert shell.feed(client, "echo again") == "again\n"

    def test_missing_client_is_an_error(self, shell: Shell) -> None:
        with pytest.raises(CommandFailed, match="`ldb-absent` ended with status 69") as caught:
            shell.feed(Client(("ldb-absent",), "echo {mark}"), "anything")
        assert "not found" in caught.value.evidence

    def test_deferred_statements_run_in_the_client_at_shell_end(
        self, containers: Containers, server: Container, shell: Shell
    ) -> None:
        path = f"{self.root}/ldb-contract-fed"
        client, leaving = (
            Client(("sh",), "echo {mark}"),
            containers.engine.shell(server.id, environment={}, ephemeral=False),
        )
        for word in ("first", "second", "third"):
            leaving.feed_later(client, f'echo "{word}" >>{path}')
        leaving.forget_to_feed(f'echo "second" >>{path}')
        leaving.close()
        wait_until(
            lambda: "first" in shell.run(["sh", "-c", f"cat {path} 2>/dev/null || :"]),
            ENDS_S,
            "nothing was done later",
        )
        assert shell.run(["sh", "-c", f"cat {path} 2>/dev/null || :"]) == "third\nfirst\n"


def _ended(shell: Shell, client: Client) -> bool:
    """Whether the open client has ended."""
    try:
        shell.feed(client, ":")
    except CommandFailed:
        return True
    return False
