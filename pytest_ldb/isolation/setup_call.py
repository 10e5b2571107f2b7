"""Calls the setup of a database.

Where an event loop is running already, as with Playwright's synchronous interface, a setup could
not run one of its own. There it is called in another thread, with the same context variables.
"""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Awaitable, Callable
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

    Raises:
        SetupFailed: It ended the process.
        InvalidRequest: It is a generator function, of which nothing has run.
        BaseException: What the setup raised.
    """
    call = partial(_call, run, database)
    if _runs_event_loop():
        _in_another_thread(call)
    else:
        call()


def _in_another_thread(call: Callable[[], None]) -> None:
    BackgroundTasks[None]().result("setup", partial(copy_context().run, call))


def _runs_event_loop() -> bool:
    asyncio = sys.modules.get("asyncio")  # Where it was not imported, none is running.
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001


def _call(run: Fill, database: Database) -> None:
    subject = database.database_type.name
    setup = f"its setup, ldb_{subject}_setup,"
    try:
        result = run(database)
        if inspect.isawaitable(result):
            import asyncio  # It is large, and few setups need it.

            # This thread would be left without its own event loop, which a plugin may have set.
            _in_another_thread(partial(asyncio.run, _awaited(result)))
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
