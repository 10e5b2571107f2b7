"""The command with its sub-commands, exit codes and error messages."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Any

import click

from ..model.errors import InvalidRequest, LdbError
from .context import Context, settings_from
from .doctor import doctor
from .inspect import list_servers, logs, shell, status, url
from .maintain import cache, completion, prune, pull
from .manage import create, delete, restart, start, stop
from .output import say, show_error

FAILED, USAGE, INTERRUPTED = 1, 2, 130


class _Commands(click.Group):
    """Lists commands in the order of their definition, which is by topic, not alphabetical."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader of a pipe, such as `head`, has closed it: not a failure, as click assumes.
            # Redirecting stdout keeps the interpreter from reporting the broken pipe at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Server names can be abbreviated as long as they are unambiguous. "
    "Exit codes: 0 success, 1 failure, 2 usage error, 130 interrupted.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    envvar="LDB_TIMEOUT",
    metavar="SECONDS",
    help="Maximum time to wait for a server to become ready (default: 60).",
)
@click.option(
    "--image-prefix",
    envvar="LDB_IMAGE_PREFIX",
    metavar="PREFIX",
    help="Registry to prepend to image names that do not name one.",
)
@click.option(
    "--bind",
    envvar="LDB_BIND",
    metavar="ADDRESS",
    help="Publish servers on this address of the engine's host (default: its loopback).",
)
@click.version_option(version("pytest-ldb"), prog_name="pytest-ldb")
@click.pass_context
def cli(context: click.Context, /, **given: Any) -> None:
    """Manage database servers in containers: those that test runs keep, and standalone ones."""
    context.obj = here = Context(settings_from(**given))
    context.call_on_close(lambda: _close(here))


for command in (create, start, stop, restart, delete, list_servers, status):
    cli.add_command(command)
for command in (logs, url, shell, pull, cache, prune, doctor, completion):
    cli.add_command(command)


def run() -> int:
    """Run the command with the arguments of this process and return the exit code."""
    try:
        return int(cli.main(prog_name="pytest-ldb", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        return INTERRUPTED
    except LdbError as error:
        show_error(error)
        return USAGE if isinstance(error, InvalidRequest) else FAILED


def _close(here: Context) -> None:
    """Remove servers whose creation did not finish."""
    if "owned" in vars(here):
        here.owned.close()
