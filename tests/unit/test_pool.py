"""The pool of databases created in the background."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from pytest_ldb.isolation.pool import (
    MOST_READY,
    MOST_USED,
    Pool,
    PoolState,
    Step,
    next_step,
)
from pytest_ldb.model.errors import CommandFailed, LdbError
from pytest_ldb.testing.processes import wait_until


@dataclass
class Numbers:
    """A factory of numbers that records creations and drops."""

    prefers_used: bool = False
    short: bool = False
    worn: set[int] = field(default_factory=set)
    failure: Exception | None = None
    made: int = 0
    dropped: list[int] = field(default_factory=list)
    may: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(1000))

    def make(self) -> int:
        self.may.acquire()
        if self.failure:
            raise self.failure
        self.made += 1
        return self.made

    def put_back(self, number: int) -> bool:
        if self.prefers_used and number not in self.worn:
            return True
        if self.failure:
            raise self.failure
        self.dropped.append(number)
        return False

    def is_short(self) -> bool:
        return self.short


@dataclass
class Pools:
    """A factory of pools that are closed after the test."""

    said: list[str] = field(default_factory=list)
    said_by: set[int] = field(default_factory=set)
    open: list[Pool[int]] = field(default_factory=list)

    def __call__(self, maker: Numbers, expected: int = 1000) -> Pool[int]:
        pool = Pool(maker, expected, self.say)
        self.open.append(pool)
        return pool

    def say(self, line: str) -> None:
        self.said.append(line)
        self.said_by.add(threading.get_ident())


@pytest.fixture
def pools() -> Iterator[Pools]:
    opened = Pools()
    yield opened
    for pool in opened.open:
        pool.close()


@pytest.mark.parametrize(
    ("state", "step"),
    [
        # Nothing to do.
        (PoolState(), Step.WAIT),
        (PoolState(expected=-1, wanted=8), Step.WAIT),
        (PoolState(failed=3), Step.WAIT),
        # Tests will request databases.
        (PoolState(expected=9, wanted=2), Step.MAKE),
        (PoolState(expected=9, wanted=2, ready=1), Step.MAKE),
        (PoolState(expected=9, wanted=2, ready=2), Step.WAIT),
        (PoolState(expected=1, wanted=8, ready=1), Step.WAIT),
        # Tests are waiting.
        (PoolState(waiting=1), Step.MAKE),
        (PoolState(waiting=2, ready=1), Step.MAKE),
        (PoolState(waiting=1, expected=-5), Step.MAKE),
        # An error is raised in a waiting test or in the next one.
        (PoolState(waiting=1, error=True), Step.WAIT),
        (PoolState(expected=9, error=True), Step.WAIT),
        (PoolState(waiting=1, error=True, used=1), Step.PUT_BACK),
        # Used databases are dropped when idle, or when there are many.
        (PoolState(used=1), Step.PUT_BACK),
        (PoolState(used=1, expected=9, ready=1), Step.PUT_BACK),
        (PoolState(used=MOST_USED - 1, expected=9), Step.MAKE),
        (PoolState(used=MOST_USED - 1, waiting=1), Step.MAKE),
        (PoolState(used=MOST_USED, waiting=1), Step.PUT_BACK),
        # Where a reset is possible it comes first.
        (PoolState(used=1, waiting=1, prefers_used=True), Step.PUT_BACK),
        (PoolState(used=0, waiting=1, prefers_used=True), Step.MAKE),
        # Space is short: keep one ready; drop used databases first, then those of failed tests.
        (PoolState(short=True, expected=9, wanted=8), Step.MAKE),
        (PoolState(short=True, expected=9, wanted=8, ready=1), Step.WAIT),
        (PoolState(short=True, used=1, failed=1, waiting=1), Step.PUT_BACK),
        (PoolState(short=True, failed=1, waiting=1), Step.GIVE_UP_FAILED),
        (PoolState(short=True, failed=1), Step.GIVE_UP_FAILED),
        # The run ends.
        (PoolState(closed=True, used=1, failed=1, waiting=1, short=True), Step.STOP),
    ],
    ids=repr,
)
def test_next_step(state: PoolState, step: Step) -> None:
    assert next_step(state) is step


def test_nothing_is_created_before_the_first_request(pools: Pools) -> None:
    pool = pools(Numbers())
    pool.expect_no_more()
    assert pool._thread is None


def test_waits_are_rounded_to_two_digits(pools: Pools) -> None:
    maker = Numbers(may=threading.Semaphore(0))
    pool = pools(maker)
    threading.Timer(0.2, maker.may.release, [1000]).start()
    for _ in range(50):
        pool.give_back(pool.take())
    assert sum(pool.waits.values()) == 50
    assert 0.1 < max(pool.waits) < 2.0
    assert all(wait == float(f"{wait:.1e}") for wait in pool.waits)


def test_failed_wait_is_not_counted(pools: Pools) -> None:
    pool = pools(Numbers(failure=LdbError("it", "is broken")))
    with pytest.raises(LdbError):
        pool.take()
    assert not pool.waits


def test_databases_are_never_reused_without_reset(pools: Pools) -> None:
    pool = pools(Numbers())
    taken = []
    for _ in range(50):
        taken.append(pool.take())
        pool.give_back(taken[-1])
    assert len(set(taken)) == 50


def test_next_database_is_created_while_a_test_runs(pools: Pools) -> None:
    maker = Numbers()
    pools(maker).take()
    wait_until(lambda: maker.made > 1, 5.0, "no database is created in the background")


def test_waiting_tests_grow_the_queue_up_to_a_limit(pools: Pools) -> None:
    maker = Numbers(may=threading.Semaphore(0))
    pool = pools(maker)
    for _ in range(20):
        maker.may.release()
        pool.take()
    maker.may.release(1000)
    wait_until(lambda: maker.made == 20 + MOST_READY, 5.0, "the queue does not grow")


@pytest.mark.parametrize("expected", range(1, 6))
def test_creations_are_limited_to_remaining_tests(pools: Pools, expected: int) -> None:
    maker = Numbers()
    pool = pools(maker, expected)
    for _ in range(expected):
        pool.give_back(pool.take())
    wait_until(lambda: len(maker.dropped) == expected, 5.0, "used databases are not dropped")
    assert maker.made == expected


def test_more_requests_than_expected_are_served(pools: Pools) -> None:
    pool = pools(Numbers(), 0)
    assert [pool.take(), pool.take()] == [1, 2]


def test_nothing_is_created_ahead_of_the_last_test(pools: Pools) -> None:
    maker = Numbers(may=threading.Semaphore(1))
    pool = pools(maker)
    pool.take()
    pool.expect_no_more()
    maker.may.release(1000)
    ahead = maker.made
    pool.give_back(1)
    wait_until(lambda: maker.dropped == [1], 5.0, "the database is not dropped")
    assert maker.made <= ahead + 1  # One creation may have been in progress.


def test_many_used_databases_are_dropped_before_waiting_tests(pools: Pools) -> None:
    maker = Numbers()
    pool = pools(maker)
    for _ in range(200):
        pool.give_back(pool.take())
    assert maker.made - len(maker.dropped) <= MOST_USED + MOST_READY + 1


def test_error_is_raised_in_the_test_and_the_next_retries(pools: Pools) -> None:
    maker = Numbers(failure=CommandFailed("postgres", "the disk is full"))
    pool = pools(maker)
    for _ in range(2):
        with pytest.raises(CommandFailed, match="the disk is full"):
            pool.take()
    maker.failure = None
    assert pool.take() == 1


def test_unexpected_error_is_raised_in_the_test(pools: Pools) -> None:
    with pytest.raises(ZeroDivisionError):
        pools(Numbers(failure=ZeroDivisionError())).take()


@pytest.mark.parametrize("method", ["put_back", "is_short"])
def test_unexpected_error_in_the_thread_is_raised_in_the_waiting_test(
    pools: Pools, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    maker = Numbers(may=threading.Semaphore(1))
    pool = pools(maker)
    number = pool.take()
    pool.expect_no_more()
    monkeypatch.setattr(maker, method, lambda *_: 1 // 0)
    maker.may.release()  # Another creation may be in progress already.
    pool.give_back(number)
    wait_until(lambda: pool._error is not None, 5.0, "no error occurs")
    with pytest.raises(ZeroDivisionError):
        [pool.take() for _ in range(2)]
    monkeypatch.undo()
    maker.may.release(1000)
    assert pool.take()


def test_background_failure_is_retried_for_the_next_test(
    pools: Pools,
) -> None:
    maker = Numbers(may=threading.Semaphore(1))
    pool = pools(maker)
    pool.take()
    maker.failure = CommandFailed("postgres", "the disk is full")
    maker.may.release()
    wait_until(lambda: pool._error is not None, 5.0, "no error occurs")
    maker.failure = None
    maker.may.release(1000)
    assert pool.take() == 2


def test_failed_drop_is_reported_and_not_retried(pools: Pools) -> None:
    maker = Numbers()
    pool = pools(maker, 1)
    number = pool.take()
    maker.failure = CommandFailed("postgres", "a transaction is prepared")
    pool.give_back(number)
    wait_until(lambda: bool(pool._lines), 5.0, "no error is reported")
    assert pools.said == []  # The output of a running test may be captured.
    pool.give_back(number)
    assert pools.said == ["a database could not be dropped. postgres: a transaction is prepared."]


def test_used_databases_are_reset_and_reused(pools: Pools) -> None:
    maker = Numbers(prefers_used=True)
    pool = pools(maker)
    for _ in range(100):
        pool.give_back(pool.take())
    assert maker.made <= MOST_READY + 2
    assert not maker.dropped


def test_database_that_cannot_be_reset_is_not_reused(pools: Pools) -> None:
    maker = Numbers(prefers_used=True, worn={1, 2})
    pool = pools(maker)
    taken = []
    for _ in range(30):
        taken.append(pool.take())
        pool.give_back(taken[-1])
    assert (taken.count(1), taken.count(2)) == (1, 1)
    assert set(maker.dropped) == {1, 2}


def test_databases_of_failed_tests_are_kept(pools: Pools) -> None:
    maker = Numbers()
    pool = pools(maker)
    failed = pool.take()
    pool.keep(failed)
    for _ in range(100):
        pool.give_back(pool.take())
    assert failed not in maker.dropped


def test_database_of_an_earlier_attempt_is_dropped(pools: Pools) -> None:
    maker = Numbers()
    pool = pools(maker)
    failed, other = pool.take(), pool.take()
    pool.keep(failed)
    for released in (failed, failed, other):
        pool.release(released)
    wait_until(lambda: failed in maker.dropped, 5.0, "the database is not dropped")
    assert maker.dropped == [failed]


def test_few_databases_exist_when_space_is_short(pools: Pools) -> None:
    maker = Numbers(short=True)
    pool = pools(maker)
    failed = pool.take()
    pool.keep(failed)
    for _ in range(20):
        pool.give_back(pool.take())
    wait_until(lambda: failed in maker.dropped, 5.0, "the database is not dropped")
    assert maker.made - len(maker.dropped) <= 3
    pool.close()
    assert pools.said == ["dropping 1 of a failed test, as space is short"]
    assert pools.said_by == {threading.get_ident()}


def test_take_from_a_closed_pool_does_not_block(pools: Pools) -> None:
    pool = pools(Numbers(may=threading.Semaphore(0)))
    threading.Timer(0.05, pool.close).start()
    with pytest.raises(LdbError, match="it is closed, as the run is ending"):
        pool.take()
