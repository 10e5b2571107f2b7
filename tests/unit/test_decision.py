"""The decision about an existing container."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from pytest_ldb.engines.protocol import Container, Image
from pytest_ldb.lifecycle.container_spec import identified
from pytest_ldb.lifecycle.decision import ABANDONED_AFTER_S, Action, Seen, decide
from pytest_ldb.lifecycle.planner import resolved
from pytest_ldb.model.credentials import UserIdentity
from pytest_ldb.model.errors import ForeignContainer
from pytest_ldb.model.request import CreateInstanceRequest, Scope

from .conftest import FAKE

LATE_S = ABANDONED_AFTER_S + 1


def request(run: str = "1", **changes: Any) -> CreateInstanceRequest:
    scope = Scope(project="shop-12345678", run=run)
    return CreateInstanceRequest(
        database_type=FAKE, image="fake:1", image_id="a", scope=scope, **changes
    )


def container(of: CreateInstanceRequest, state: str) -> Container:
    """Return a container that was created for a request, in the given state."""
    spec = resolved(of, Image(id="a", volumes=()), UserIdentity(bytes(32))).spec
    return Container(
        id="c" * 64,
        name=spec.name,
        labels=identified(spec, uuid4()).labels,
        image_id="a",
        state=state,
        exit_code=None,
        address=None,
    )


@pytest.mark.parametrize(
    ("state", "changes", "seen_for_s", "action"),
    [
        ("running", {}, 0, Action.ATTACH),
        ("running", {"kept": True}, LATE_S, Action.ATTACH),
        ("paused", {}, 0, Action.UNPAUSE),
        ("created", {}, 0, Action.WAIT),
        ("created", {}, LATE_S, Action.REPLACE),
        ("exited", {}, 0, Action.REPLACE),
        ("exited", {"kept": True}, 0, Action.REPLACE),
        ("exited", {"kept": True, "durable": True}, 0, Action.RESTART),
        ("removing", {"kept": True}, 0, Action.REPLACE),
        ("dead", {"kept": True}, 0, Action.REPLACE),
    ],
)
def test_action_follows_from_the_state(
    state: str, changes: dict[str, Any], seen_for_s: float, action: Action
) -> None:
    wanted = request(**changes)
    seen = Seen(container=container(wanted, state), seen_for_s=seen_for_s)
    assert decide(seen, wanted, recreate=False).action is action


def test_missing_container_is_created() -> None:
    assert decide(Seen(container=None), request(), recreate=True).action is Action.CREATE


@pytest.mark.parametrize(
    ("run", "in_use", "seen_for_s", "action"),
    [
        ("1", False, 0, Action.ATTACH),  # created by this run
        ("2", False, 0, Action.REPLACE),
        ("2", True, 0, Action.WAIT),
        ("2", True, LATE_S, Action.REFUSE),
    ],
)
def test_recreate_replaces_servers_of_earlier_runs(
    run: str, in_use: bool, seen_for_s: float, action: Action
) -> None:
    found = container(request(kept=True), "running")
    seen = Seen(container=found, in_use=in_use, seen_for_s=seen_for_s)
    assert decide(seen, request(run, kept=True), recreate=True).action is action


def test_server_that_does_not_answer_is_replaced() -> None:
    wanted = request(kept=True)
    step = decide(Seen(container=container(wanted, "running"), deaf=True), wanted, recreate=False)
    assert (step.action, step.reason) == (
        Action.REPLACE,
        "replacing the server (running, but it does not answer)",
    )


@pytest.mark.parametrize(
    ("state", "changes", "reason"),
    [
        ("exited", {"kept": True}, "replacing the kept server (state: exited)"),
        ("exited", {}, ""),
        ("removing", {"kept": True}, ""),
    ],
)
def test_only_replaced_kept_servers_are_reported(
    state: str, changes: dict[str, Any], reason: str
) -> None:
    wanted = request(**changes)
    step = decide(Seen(container=container(wanted, state)), wanted, recreate=False)
    assert step.reason == reason


def test_foreign_container_is_an_error() -> None:
    wanted = request()
    foreign = Container(
        id="c", name="x", labels={}, image_id="", state="running", exit_code=None, address=None
    )
    with pytest.raises(ForeignContainer):
        decide(Seen(container=foreign), wanted, recreate=False)
