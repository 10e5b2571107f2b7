"""Background tasks: single execution, waiting callers, stored results."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
import traceback
from pathlib import Path

import pytest

from pytest_ldb.testing.processes import wait_until
from pytest_ldb.util.background import BackgroundTasks


@pytest.fixture
def tasks() -> BackgroundTasks[int]:
    return BackgroundTasks()


def never() -> int:
    raise AssertionError("the task has been begun already")


def test_task_starts_when_its_result_is_requested(
    tasks: BackgroundTasks[int],
) -> None:
    assert tasks.result("one", lambda: 1) == 1
    assert tasks.result("one", never) == 1


def test_task_runs_once_in_another_thread(tasks: BackgroundTasks[int]) -> None:
    tasks.begin("one", threading.get_ident)
    tasks.begin("one", never)
    assert tasks.result("one", never) != threading.get_ident()


def test_result_waits_for_the_task(tasks: BackgroundTasks[int]) -> None:
    gate = threading.Event()

    def work() -> int:
        gate.wait()
        return 1

    tasks.begin("one", work)
    threading.Timer(0.15, gate.set).start()
    assert tasks.result("one", never) == 1


def test_error_is_raised_again_with_the_same_traceback(
    tasks: BackgroundTasks[int],
) -> None:
    tasks.begin("one", lambda: 1 // 0)
    caught = []
    for _ in range(3):
        with pytest.raises(ZeroDivisionError) as info:
            tasks.result("one", never)
        caught.append((info.value, len(traceback.extract_tb(info.value.__traceback__))))
    assert caught[0] == caught[1] == caught[2]


def test_task_is_awaited_after_a_caller_has_waited(
    tasks: BackgroundTasks[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_ldb.util.background.PATIENCE_S", 0.2)
    seen: list[tuple[bool, float]] = []
    gate = threading.Event()

    def work() -> int:
        seen.append((tasks.is_awaited(), 0.0))
        gate.wait()
        began = time.monotonic()
        while not tasks.is_awaited():
            time.sleep(0.01)
        seen.append((tasks.is_awaited(), time.monotonic() - began))
        return 1

    tasks.begin("one", work)
    time.sleep(0.3)
    gate.set()
    tasks.result("one", never)
    assert [awaited for awaited, _ in seen] == [False, True]
    assert seen[1][1] > 0.1
    assert not tasks.is_awaited()


def test_results_are_available_before_they_are_requested(tasks: BackgroundTasks[int]) -> None:
    gate = threading.Event()
    tasks.begin("late", lambda: int(gate.wait()))
    tasks.begin("wrong", lambda: 1 // 0)
    tasks.begin("one", lambda: 1)
    wait_until(lambda: tasks.results() == [1], 5.0, "the result is not known")
    wait_until(lambda: tasks.pending() == {"late"}, 5.0, "a task has not ended")
    assert tasks.result("one", never) == 1
    assert tasks.results() == [1]
    gate.set()


def test_all_results_are_released_even_late_ones(tasks: BackgroundTasks[int]) -> None:
    gate = threading.Event()
    released: list[int] = []

    def late() -> int:
        gate.wait()
        return 3

    tasks.begin("one", lambda: 1)
    tasks.begin("asked for", lambda: 2)
    tasks.begin("late", late)
    tasks.begin("wrong", lambda: 1 // 0)
    tasks.result("asked for", never)
    tasks.give_up(released.append)
    gate.set()
    wait_until(lambda: sorted(released) == [1, 2, 3], 5.0, "a result is still held")
    assert tasks.result("one", lambda: 4) == 4


@pytest.mark.process
def test_fork_waits_for_what_a_task_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ldb_slow_module.py").write_text("import time\ntime.sleep(0.3)\nVALUE = 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    tasks = BackgroundTasks[object]()
    tasks.begin("slow", lambda: importlib.import_module("ldb_slow_module"))
    wait_until(lambda: "ldb_slow_module" in sys.modules, 5.0, "the import has not begun")
    child = os.fork()
    if not child:
        os._exit(getattr(sys.modules["ldb_slow_module"], "VALUE", 0))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
