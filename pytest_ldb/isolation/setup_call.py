"""Calls the setup of a database.

It is called in a thread of its own, where no event loop is running: code of a test, or of a library
such as Playwright, may run one in the main thread. Context variables have the values that they have
there.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Awaitable
from contextvars import copy_context
from functools import partial

from ..model.database import Database
from ..model.errors import InvalidRequest, LdbError, SetupFailed, hidden
from ..model.setup import Fill
from ..util.background import BackgroundTasks

__tracebackhide__ = hidden


MOST_LINES = 30


class SetupSkipped(LdbError):
    """Raised when a setup skips the tests that use its database; the fact is the reason."""


def call_setup(run: Fill, database: Database) -> None:
    """Call a setup, and await what it returns if that can be awaited.

    If the wait is interrupted, for example by Ctrl-C or a timeout of the test, the thread goes on.

    Raises:
        SetupFailed: It ended the process.
        InvalidRequest: It is a generator function, of which nothing has run.
        BaseException: What the setup raised.
    """
    call = partial(copy_context().run, _call, run, database)
    BackgroundTasks[None]().result("setup", call)


def _call(run: Fill, database: Database) -> None:
    subject = database.database_type.name
    setup = f"its setup, ldb_{subject}_setup,"
    try:
        result = run(database)
        if inspect.isawaitable(result):
            import asyncio  # It is large, and few setups need it.

            asyncio.run(_awaited(result))
    except SystemExit as error:
        raise SetupFailed(
            subject,
            f"{setup} ended the process",
            evidence=f"SystemExit: {error.code!r}",
            remedy="Let it raise an exception, or return.",
        ) from error
    if inspect.isgenerator(result) or inspect.isasyncgen(result):
        raise InvalidRequest(
            subject,
            f"{setup} is a generator function, which does nothing when it is called",
            remedy="Remove the `yield`. The fixture may have one: yield the function there.",
        )


async def _awaited(result: Awaitable[object]) -> None:
    await result


def text_of(error: BaseException, lines: int = MOST_LINES) -> str:
    """Return the first lines of an exception, without its traceback and without a full stop."""
    if isinstance(error, LdbError):
        text = str(error)
    else:
        text = "".join(traceback.format_exception_only(error))
    return "\n".join(text.strip().splitlines()[:lines]).rstrip(".")
