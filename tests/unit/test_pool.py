"""Databases ahead of need: what is made, when, and who hears of an error."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from pytest_ldb.isolation.pool import MOST_READY, MOST_USED, Pool
from pytest_ldb.model.errors import CommandFailed, LdbError
from pytest_ldb.testing.processes import wait_until


@dataclass
class Numbers:
    """Makes numbers; what was made and dropped is on record."""

    prefers_used: bool = False
    taken: float = 0.0
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

    def space_taken(self) -> float:
        return self.taken


@dataclass
class Pools:
    """Pools that are closed after the test."""

    said: list[str] = field(default_factory=list)
    open: list[Pool[int]] = field(default_factory=list)

    def __call__(self, maker: Numbers, expected: int = 1000) -> Pool[int]:
        pool = Pool(maker, expected, self.said.append)
        self.open.append(pool)
        return pool


@pytest.fixture
def pools() -> Iterator[Pools]:
    opened = Pools()
    yield opened
    for pool in opened.open:
        pool.close()


def test_nothing_is_made_before_somebody_asks(pools: Pools) -> None:
    maker = Numbers()
    pools(maker)
    assert maker.made == 0


def test_waits_are_counted_to_two_digits(pools: Pools) -> None:
    maker = Numbers(may=threading.Semaphore(0))
    pool = pools(maker)
    threading.Timer(0.2, maker.may.release, [1000]).start()
    for _ in range(50):
        pool.give_back(pool.take())
    assert sum(pool.waits.values()) == 50
    assert 0.2 <= max(pool.waits) < 2.0
    assert all(wait == float(f"{wait:.1e}") for wait in pool.waits)


def test_a_wait_that_was_in_vain_does_not_count(pools: Pools) -> None:
    pool = pools(Numbers(failure=LdbError("it", "is broken")))
    with pytest.raises(LdbError):
        pool.take()
    assert not pool.waits


def test_nobody_gets_what_another_has_had(pools: Pools) -> None:
    pool = pools(Numbers())
    taken = []
    for _ in range(50):
        taken.append(pool.take())
        pool.give_back(taken[-1])
    assert len(set(taken)) == 50


def test_one_more_is_made_while_a_test_runs(pools: Pools) -> None:
    maker = Numbers()
    pools(maker).take()
    wait_until(lambda: maker.made > 1, 5.0, "nothing is made ahead")


def test_tests_that_wait_make_the_queue_longer_up_to_a_limit(pools: Pools) -> None:
    maker = Numbers(may=threading.Semaphore(0))
    pool = pools(maker)
    for _ in range(20):
        maker.may.release()
        pool.take()
    maker.may.release(1000)
    wait_until(lambda: maker.made == 20 + MOST_READY, 5.0, "it does not grow")


@pytest.mark.parametrize("expected", range(1, 6))
def test_no_more_is_made_than_tests_are_left(pools: Pools, expected: int) -> None:
    maker = Numbers()
    pool = pools(maker, expected)
    for _ in range(expected):
        pool.give_back(pool.take())
    wait_until(lambda: len(maker.dropped) == expected, 5.0, "used ones are not dropped")
    assert maker.made == expected


def test_more_may_ask_than_were_expected(pools: Pools) -> None:
    pool = pools(Numbers(), 0)
    assert [pool.take(), pool.take()] == [1, 2]


def test_nothing_is_made_ahead_of_the_last_test(pools: Pools) -> None:
    maker = Numbers(may=threading.Semaphore(1))
    pool = pools(maker)
    pool.take()
    pool.expect_no_more()
    maker.may.release(1000)
    ahead = maker.made
    pool.give_back(1)
    wait_until(lambda: maker.dropped == [1], 5.0, "it is not dropped")
    assert maker.made <= ahead + 1  # One may have been under way.


def test_used_ones_are_dropped_when_there_are_many_though_tests_wait(pools: Pools) -> None:
    maker = Numbers()
    pool = pools(maker)
    for _ in range(200):
        pool.give_back(pool.take())
    assert maker.made - len(maker.dropped) <= MOST_USED + MOST_READY + 1


def test_an_error_reaches_the_test_that_asks_and_the_next_one_tries_again(pools: Pools) -> None:
    maker = Numbers(failure=CommandFailed("postgres", "the disk is full"))
    pool = pools(maker)
    for _ in range(2):
        with pytest.raises(CommandFailed, match="the disk is full"):
            pool.take()
    maker.failure = None
    assert pool.take() == 1


def test_an_error_that_is_no_one_of_ours_reaches_the_test_too(pools: Pools) -> None:
    with pytest.raises(ZeroDivisionError):
        pools(Numbers(failure=ZeroDivisionError())).take()


def test_what_went_wrong_ahead_of_need_is_tried_again_for_the_test_that_needs_it(
    pools: Pools,
) -> None:
    maker = Numbers(may=threading.Semaphore(1))
    pool = pools(maker)
    pool.take()
    maker.failure = CommandFailed("postgres", "the disk is full")
    maker.may.release()
    wait_until(lambda: pool._error is not None, 5.0, "nothing goes wrong")
    maker.failure = None
    maker.may.release(1000)
    assert pool.take() == 2


def test_what_cannot_be_dropped_is_said_and_forgotten(pools: Pools) -> None:
    maker = Numbers()
    pool = pools(maker, 1)
    number = pool.take()
    maker.failure = CommandFailed("postgres", "a transaction is prepared")
    pool.give_back(number)
    wait_until(lambda: bool(pools.said), 5.0, "nothing is said")
    assert pools.said == ["a database could not be dropped. postgres: a transaction is prepared."]


def test_used_ones_are_put_back_and_used_again(pools: Pools) -> None:
    maker = Numbers(prefers_used=True)
    pool = pools(maker)
    for _ in range(100):
        pool.give_back(pool.take())
    assert maker.made <= MOST_READY + 2
    assert not maker.dropped


def test_one_that_cannot_be_put_back_is_never_seen_again(pools: Pools) -> None:
    maker = Numbers(prefers_used=True, worn={1, 2})
    pool = pools(maker)
    taken = []
    for _ in range(30):
        taken.append(pool.take())
        pool.give_back(taken[-1])
    assert (taken.count(1), taken.count(2)) == (1, 1)
    assert set(maker.dropped) == {1, 2}


def test_those_of_failed_tests_stay(pools: Pools) -> None:
    maker = Numbers()
    pool = pools(maker)
    failed = pool.take()
    pool.keep(failed)
    for _ in range(100):
        pool.give_back(pool.take())
    assert failed not in maker.dropped


def test_when_space_is_short_there_are_as_few_as_possible(pools: Pools) -> None:
    maker = Numbers(taken=0.6)
    pool = pools(maker)
    failed = pool.take()
    pool.keep(failed)
    for _ in range(20):
        pool.give_back(pool.take())
    wait_until(lambda: failed in maker.dropped, 5.0, "it is not dropped")
    assert maker.made - len(maker.dropped) <= 3
    assert pools.said == ["space is short, so 1 of a test that failed is dropped"]


def test_a_closed_pool_makes_nobody_wait(pools: Pools) -> None:
    pool = pools(Numbers(may=threading.Semaphore(0)))
    threading.Timer(0.05, pool.close).start()
    with pytest.raises(LdbError, match="it is closed, as the run ends"):
        pool.take()
