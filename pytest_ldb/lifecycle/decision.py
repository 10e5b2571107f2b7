"""What to do about the container that was found under a server's name: a pure decision."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from ..engines.protocol import Container
from ..model.request import CreateInstanceRequest
from .container_spec import Ownership

ABANDONED_AFTER_S = 5.0
"""How long to wait for a created container to be started: another process may be doing that.

Also how long ``--ldb-recreate`` waits for another run to release a kept server.
"""


class Action(Enum):
    """What is done next."""

    CREATE = auto()
    ATTACH = auto()
    UNPAUSE = auto()
    RESTART = auto()
    REPLACE = auto()
    WAIT = auto()
    REFUSE = auto()


_USABLE = {"running": Action.ATTACH, "paused": Action.UNPAUSE}


@dataclass(frozen=True)
class Step:
    """A decision.

    Args:
        action: What to do.
        reason: Why a kept server is restarted or replaced, or why the request is refused.
    """

    action: Action
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is known of the container when the decision is made.

    Args:
        container: The container; None if there is none.
        seen_for_s: For how long it has been looked at.
        in_use: Whether another process holds it; looked at with ``--ldb-recreate`` only.
        deaf: Whether it was ready before and is running, but does not answer.
    """

    container: Container | None
    seen_for_s: float = 0.0
    in_use: bool = False
    deaf: bool = False


def decide(seen: Seen, request: CreateInstanceRequest, *, recreate: bool) -> Step:
    """Return what to do about a container.

    Args:
        seen: The container.
        request: What the server must answer.
        recreate: Whether kept servers of earlier runs are to be replaced.

    Raises:
        ForeignContainer: The container is not ours.
    """
    if seen.container is None:
        return Step(Action.CREATE)
    patient = seen.seen_for_s < ABANDONED_AFTER_S
    if is_outdated(seen.container, request, recreate=recreate):
        return _replace_outdated(in_use=seen.in_use, patient=patient)
    if seen.deaf:
        return Step(Action.REPLACE, "replacing the server (running, but it does not answer)")
    return _by_state(seen.container.state, request, patient=patient)


def _by_state(state: str, request: CreateInstanceRequest, *, patient: bool) -> Step:
    if state == "created" and patient:
        return Step(Action.WAIT)
    if state in _USABLE:
        return Step(_USABLE[state])
    # Data in memory was lost when the container ended, so only data on disk is worth a restart.
    if state == "exited" and request.kept and not request.in_memory:
        return Step(Action.RESTART, "restarting the kept server (state: exited)")
    # Only the end of a kept server is news to the user.
    silent = state == "removing" or not request.kept
    return Step(Action.REPLACE, "" if silent else f"replacing the kept server (state: {state})")


def is_outdated(container: Container, request: CreateInstanceRequest, *, recreate: bool) -> bool:
    """Whether a container is a kept server of an earlier run that is to be replaced."""
    ours = Ownership.of(container)
    return recreate and ours.kept and ours.run != request.scope.run


def _replace_outdated(*, in_use: bool, patient: bool) -> Step:
    if not in_use:
        return Step(Action.REPLACE, "replacing the kept server (--ldb-recreate)")
    if patient:  # An earlier run may only just be ending.
        return Step(Action.WAIT)
    return Step(Action.REFUSE, "it is in use by another run")
