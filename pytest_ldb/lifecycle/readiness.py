"""Waiting for a server to become ready, and the errors if it does not."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from contextlib import closing

from ..engines.protocol import Exit, Watch
from ..model.database_type import Exchange
from ..model.errors import DiskFull, InstanceDied, NotReady, OutOfMemory, StartFailed, hidden
from ..model.instance import MASK, Address
from ..util import clock
from ..util.sockets import connect_to_host

__tracebackhide__ = hidden

FIRST_PAUSE_S = 0.005  # Redis and cached servers are ready within milliseconds.
LONGEST_PAUSE_S = 0.05
EXCHANGE_TIMEOUT_S = 1.0
LOG_LINES = 20
KILLED = 128 + 9
LONGEST_ANSWER_BYTES = 65536


def ask(address: Address, exchange: Exchange, timeout_s: float = EXCHANGE_TIMEOUT_S) -> bytes:
    """Return the server's answer; returns as soon as that proves readiness, or at the timeout.

    An accepted connection proves nothing: the engine's proxy accepts before the server listens.
    """
    answer, deadline = b"", clock.monotonic() + timeout_s
    try:
        with closing(connect_to_host(address.host, address.port, timeout_s)) as connection:
            connection.sendall(exchange.send)
            while not exchange.proves(answer) and len(answer) < LONGEST_ANSWER_BYTES:
                # A server that keeps sending something else must not extend the deadline.
                connection.settimeout(max(deadline - clock.monotonic(), 0.001))
                chunk = connection.recv(4096)
                if not chunk or clock.monotonic() > deadline:
                    break
                answer += chunk
    except OSError:
        pass
    return answer


def wait_until_ready(  # noqa: PLR0913 - the clock and the secrets are for tests and logs
    subject: str,
    address: Address | None,
    exchange: Exchange,
    watch: Watch,
    *,
    timeout_s: float,
    secrets: Iterable[str] = (),
    look: Callable[[], None] = lambda: None,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Return when the server is ready.

    Args:
        subject: What to call the server in messages.
        address: Where to ask; None if it ended before it had a port.
        exchange: What to ask.
        watch: Reports when the container has ended.
        timeout_s: The most time to wait.
        secrets: Strings to mask in the server's log.
        look: Called repeatedly while it is not ready.
        now: The clock.

    Raises:
        InstanceDied: The server ended by itself; OutOfMemory or DiskFull if that was the reason.
        NotReady: It was not ready in time.
    """
    began, answer, pause = now(), b"", FIRST_PAUSE_S
    while True:
        if address is not None:
            answer = ask(address, exchange)
            if exchange.proves(answer):
                return
        ended = watch.ended(pause)
        if ended is not None:
            raise died(subject, ended, masked(watch.log(LOG_LINES), secrets))
        if now() - began > timeout_s:
            log = masked(watch.log(LOG_LINES), secrets)
            raise _not_ready(subject, address, timeout_s, answer, log)
        look()
        pause = min(pause * 1.3, LONGEST_PAUSE_S)


def died(subject: str, ended: Exit, log: str) -> StartFailed:
    """Return the error for a server that ended by itself, named after its cause."""
    evidence = log or "(it wrote nothing to its log)"
    if re.search(r"no space left on device|disk (is )?full", log, re.IGNORECASE):
        return DiskFull(
            subject,
            f"the server ended with exit code {ended.code}, its disk is full",
            evidence=evidence,
            status=ended.code,
            remedy="Data in memory: raise data_mib of the DatabaseType. Data on disk "
            "(--ldb-durable): free space on the engine, `docker system df` shows what takes it.",
        )
    if ended.out_of_memory or _ran_out_of_memory(log):
        return OutOfMemory(
            subject,
            f"the server ended with exit code {ended.code}, out of memory",
            evidence=evidence,
            status=ended.code,
            remedy="Raise memory_mib of the DatabaseType (data in memory counts), "
            "or give the engine more memory.",
        )
    hint = " (killed; perhaps out of memory)" if ended.code == KILLED else ""
    return InstanceDied(
        subject,
        f"the server ended with exit code {ended.code}{hint}",
        evidence=evidence,
        status=ended.code,
        remedy="Its last log lines, above, say why; check the image, its command and environment.",
    )


def _ran_out_of_memory(log: str) -> bool:
    return bool(re.search(r"out of memory|cannot allocate memory", log, re.IGNORECASE))


def _not_ready(
    subject: str, address: Address | None, timeout_s: float, answer: bytes, log: str
) -> NotReady:
    answered = f"its last answer was {answer[:80]!r}" if answer else "it answered nothing"
    where = f"{address.host}:{address.port}" if address else "a port that it never opened"
    return NotReady(
        subject,
        f"the server runs, but was not ready after {timeout_s:g} s: on {where} {answered}",
        evidence=log or "(it wrote nothing to its log)",
        remedy="Raise --ldb-timeout if the machine is slow; its log, above, says what it is doing.",
    )


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return a log with its secrets masked."""
    for secret in secrets:
        text = text.replace(secret, MASK) if secret else text
    return text
