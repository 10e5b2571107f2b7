"""Work that is begun before somebody asks for it."""

from __future__ import annotations

import threading
import time

import pytest

from pytest_ldb.testing.processes import wait_until
from pytest_ldb.util.background import BackgroundTasks


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def ahead(said: list[str]) -> BackgroundTasks[int]:
    return BackgroundTasks(said.append)


def never() -> int:
    raise AssertionError("it was begun already")


def test_what_was_not_begun_is_done_when_it_is_asked_for(ahead: BackgroundTasks[int]) -> None:
    assert ahead.result("one", threading.get_ident) == threading.get_ident()


def test_what_was_begun_is_done_once_and_elsewhere(ahead: BackgroundTasks[int]) -> None:
    ahead.begin("one", threading.get_ident)
    ahead.begin("one", never)
    assert ahead.result("one", never) != threading.get_ident()


def test_whoever_asks_waits(ahead: BackgroundTasks[int]) -> None:
    gate = threading.Event()

    def work() -> int:
        gate.wait()
        return 1

    ahead.begin("one", work)
    threading.Timer(0.15, gate.set).start()
    assert ahead.result("one", never) == 1


def test_an_error_is_raised_where_it_is_asked_for_and_once(ahead: BackgroundTasks[int]) -> None:
    ahead.begin("one", lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        ahead.result("one", never)
    assert ahead.result("one", lambda: 2) == 2


def test_lines_are_shown_to_whoever_waits(ahead: BackgroundTasks[int], said: list[str]) -> None:
    told, gate = threading.Event(), threading.Event()

    def work() -> int:
        ahead.say("pulling")
        told.set()
        gate.wait()
        ahead.say("pulled")
        return 1

    ahead.begin("one", work)
    told.wait()
    assert said == []
    threading.Timer(0.15, gate.set).start()
    ahead.result("one", never)
    assert said == ["pulling", "pulled"]
    ahead.say("mine")
    assert said[2:] == ["mine"]


def test_work_is_awaited_when_somebody_has_waited_for_a_while(
    ahead: BackgroundTasks[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_ldb.util.background.PATIENCE_S", 0.2)
    seen: list[tuple[bool, float]] = []
    gate = threading.Event()

    def work() -> int:
        seen.append((ahead.is_awaited(), 0.0))
        gate.wait()
        began = time.monotonic()
        while not ahead.is_awaited():
            time.sleep(0.01)
        seen.append((ahead.is_awaited(), time.monotonic() - began))
        return 1

    ahead.begin("one", work)
    assert ahead.is_awaited()  # This thread would wait itself.
    time.sleep(0.3)
    gate.set()
    ahead.result("one", never)
    assert [awaited for awaited, _ in seen] == [False, True]
    assert seen[1][1] > 0.1
    ahead.begin("another", lambda: int(ahead.is_awaited()))
    wait_until(lambda: ahead.results() == [0], 5.0, "it is awaited though nobody waits")


def test_results_are_known_before_they_are_asked_for(ahead: BackgroundTasks[int]) -> None:
    gate = threading.Event()
    ahead.begin("late", lambda: int(gate.wait()))
    ahead.begin("wrong", lambda: 1 // 0)
    ahead.begin("one", lambda: 1)
    wait_until(lambda: ahead.results() == [1], 5.0, "it is not known")
    wait_until(lambda: ahead.pending() == {"late"}, 5.0, "it goes on")
    assert ahead.result("one", never) == 1
    assert ahead.results() == []
    gate.set()


def test_what_nobody_asked_for_is_let_go(ahead: BackgroundTasks[int]) -> None:
    gate = threading.Event()
    released: list[int] = []

    def late() -> int:
        gate.wait()
        return 3

    ahead.begin("one", lambda: 1)
    ahead.begin("asked for", lambda: 2)
    ahead.begin("late", late)
    ahead.begin("wrong", lambda: 1 // 0)
    ahead.result("asked for", never)
    ahead.give_up(released.append)
    gate.set()
    wait_until(lambda: sorted(released) == [1, 3], 5.0, "something is held")
