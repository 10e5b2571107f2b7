"""Tests of the logs of containers."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from ..engines.protocol import Exit
from .containers import ENDS_S, Containers
from .processes import wait_until


class LogContract:
    """Tests of ``Engine.log``; a part of ``EngineContract``."""

    def test_log_has_all_lines_in_order(self, containers: Containers) -> None:
        identity, watch = containers.run("echo one; echo two >&2; sleep 0.1; printf 'no newline'")
        assert watch.ended(ENDS_S) == Exit(code=0, out_of_memory=False)
        watch.close()
        lines = list(containers.engine.log(identity))
        assert sorted(lines[:2]) == ["one", "two"]  # Two streams: their order is undefined.
        assert lines[2:] == ["no newline"]
        assert list(containers.engine.log(identity, tail=1)) == ["no newline"]
        assert list(containers.engine.log(identity, tail=0)) == []

    def test_log_can_start_at_a_time(self, containers: Containers) -> None:
        """Needs an engine on this machine, as both must have the same clock."""
        identity, watch = containers.run("echo early; sleep 1; echo late; exec sleep 60")
        wait_until(lambda: "early" in watch.log(9), ENDS_S, "nothing in the log")
        began = time.time()
        wait_until(lambda: "late" in watch.log(9), ENDS_S, "nothing in the log")
        watch.close()
        assert list(containers.engine.log(identity, since=began)) == ["late"]
        assert list(containers.engine.log(identity, since=time.time())) == []
        assert list(containers.engine.log(identity, since=began - 60)) == ["early", "late"]

    def test_followed_log_ends_with_the_container(self, containers: Containers) -> None:
        identity, watch = containers.run("echo one; echo two; sleep 0.5; echo three")
        wait_until(lambda: "two" in watch.log(9), ENDS_S, "nothing in the log")
        watch.close()
        assert list(containers.engine.log(identity, follow=True, tail=1)) == ["two", "three"]

    def test_unread_log_can_be_closed(self, containers: Containers) -> None:
        identity, watch = containers.run("echo here; exec sleep 60")
        wait_until(lambda: "here" in watch.log(9), ENDS_S, "nothing in the log")
        watch.close()
        for follow in (True, False):
            log = containers.engine.log(identity, follow=follow)
            log.close()
            assert list(log) in ([], ["here"])  # Lines that have been received may be read.
        assert containers.existing(identity).state == "running"  # Closing did not wait for its end.

    def test_followed_log_can_be_closed_from_another_thread(self, containers: Containers) -> None:
        identity, watch = containers.run("echo here; exec sleep 60")
        watch.close()
        log, came = containers.engine.log(identity, follow=True), threading.Event()

        def read() -> list[str]:
            lines = []
            for line in log:
                lines.append(line)
                came.set()
            return lines

        with ThreadPoolExecutor() as pool:
            reading = pool.submit(read)
            assert came.wait(ENDS_S)
            log.close()
            assert reading.result(ENDS_S) == ["here"]
