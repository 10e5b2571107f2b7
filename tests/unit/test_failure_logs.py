"""Selection of the log lines shown for a failing test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from pytest_ldb import MONGODB, MYSQL, POSTGRES, REDIS, DatabaseType
from pytest_ldb.model.errors import EngineUnavailable
from pytest_ldb.plugin import failure_logs
from pytest_ldb.plugin.failure_logs import MOST_LINES, _Server, _text, relevant, shortened

NOW = "2026-11-23 14:59:22.380 UTC"
OURS = [
    f'{NOW} [79] [ours] ERROR:  relation "a" does not exist at character 16',
    f"{NOW} [79] [ours] STATEMENT:  SELECT *",
    "\t FROM a",
]
OTHERS = [
    f'{NOW} [81] [ours_2] ERROR:  relation "b" does not exist at character 16',
    f"{NOW} [81] [ours_2] STATEMENT:  SELECT '",
    f"\t{NOW} [79] [ours] ERROR:  quoted' FROM b",
]
SERVER = [f"{NOW} [1] LOG:  server process (PID 71) was terminated by signal 9: Killed"]
NOISE = [
    f"{NOW} [30] LOG:  checkpoint starting: immediate force wait",
    f"{NOW} [30] LOG:  checkpoint complete: wrote 3 buffers (0.0%)",
]
SLOW = (
    '{"t":{"$date":"2026-11-23T14:54:31.153+00:00"},"s":"I",  "c":"COMMAND",  "id":51803,   '
    '"ctx":"conn2","msg":"Slow query","attr":{"type":"command","ns":"%s.a","command":{"find":"a",'
    '"$db":"x"},"durationMillis":223}}'
)
DROPPED = (
    '{"t":{"$date":"2026-11-23T14:54:31.153+00:00"},"s":"I",  "c":"COMMAND",  "id":20337,   '
    '"ctx":"conn2","msg":"dropDatabase - starting","attr":{"db":"%s"}}'
)
CAME = (
    '{"t":{"$date":"2026-11-23T14:54:31.153+00:00"},"s":"I",  "c":"NETWORK",  "id":22943,   '
    '"ctx":"listener","msg":"Connection accepted","attr":{"remote":"127.0.0.1:49938"}}'
)
GONE = (
    '{"t":{"$date":"2026-11-23T15:36:37.630+00:00"},"s":"I",  "c":"-",        "id":20883,   '
    '"ctx":"conn5","msg":"Interrupted operation as its client disconnected","attr":{"opId":92}}'
)
REFUSED = (
    '{"t":{"$date":"2026-11-23T14:54:31.153+00:00"},"s":"I",  "c":"ACCESS",   "id":5286307, '
    '"ctx":"conn3","msg":"Failed to authenticate","attr":{"user":"root","db":"ours"}}'
)
ABORTED = (
    "2026-11-23T14:54:09.349369Z 9 [Note] [MY-010914] [Server] Aborted connection 9 to db: '%s' "
    "user: 'root' host: '172.17.0.1' (Got an error reading communication packets)."
)
STARTED = "2026-11-23T14:54:09.349369Z 0 [System] [MY-010931] [Server] mysqld: ready for more."


@pytest.mark.parametrize(
    ("database_type", "kept", "left_out"),
    [
        (POSTGRES, OURS, OTHERS),
        (POSTGRES, SERVER, OTHERS + NOISE),
        (POSTGRES, SERVER + OURS, ["\tthe rest of an entry from before"]),
        (MONGODB, [SLOW % "ours", REFUSED], [SLOW % "ours_2", DROPPED % "other", CAME, GONE]),
        (MYSQL, [STARTED, ABORTED % "ours"], [ABORTED % "other"]),
        (REDIS, ["1:M 23 Nov 2026 14:54:04.691 # Error"], []),
    ],
)
def test_lines_of_other_databases_are_left_out(
    database_type: DatabaseType, kept: list[str], left_out: list[str]
) -> None:
    assert relevant(left_out + kept, database_type, {"ours"}) == kept
    if not left_out or not left_out[0].startswith("\t"):
        assert relevant(kept + left_out, database_type, {"ours"}) == kept


def test_older_lines_are_left_out_by_the_server_timestamp() -> None:
    moment = datetime(2026, 11, 23, 14, 59, 22, 380_999, timezone.utc).timestamp()
    assert relevant(OURS, POSTGRES, {"ours"}, moment) == OURS
    assert relevant(OURS, POSTGRES, {"ours"}, moment + 0.001) == []
    moment = datetime(2026, 11, 23, 14, 54, 31, 153_000, timezone.utc).timestamp()
    assert relevant([SLOW % "ours"], MONGODB, None, moment) == [SLOW % "ours"]
    assert relevant([SLOW % "ours"], MONGODB, None, moment + 0.01) == []
    assert relevant([STARTED], MYSQL, None, moment) == []


def test_lines_mixed_with_other_output_are_shown() -> None:
    mixed = [f"ok .{line}" for line in SERVER] + [f".{line}" for line in SERVER]
    assert relevant([*OTHERS, *mixed], POSTGRES, {"ours"}, 1.0) == mixed[1:]


def test_log_of_unknown_format_is_shown_unfiltered() -> None:
    lines = ["one", "two"]
    assert relevant(lines, POSTGRES, {"ours"}) == lines
    assert relevant(lines, None, {"ours"}) == lines
    default = [f"{NOW} [79] ERROR:  the arguments were replaced", "\tall of them"]
    database_type = replace(POSTGRES, server=replace(POSTGRES.server, arguments=()))
    assert relevant(default, database_type, {"ours"}) == default


def test_standalone_server_log_covers_all_databases() -> None:
    assert relevant(OTHERS + NOISE + OURS, POSTGRES, None) == OTHERS + OURS


def test_long_log_is_truncated_to_its_end() -> None:
    lines = [str(n) for n in range(MOST_LINES + 2)]
    assert shortened(lines) == ["(2 lines before)", *lines[2:]]
    assert shortened(lines[2:]) == lines[2:]
    assert shortened([]) == []


def test_failing_pattern_loses_the_log_but_not_the_run() -> None:
    class Session:
        """An engine with one log."""

        def log(self, container: str, **_: Any) -> Any:
            class Log(list[str]):
                def close(self) -> None: ...

            return Log(OURS)

    wrong = replace(POSTGRES, log=replace(POSTGRES.log))
    object.__setattr__(wrong.log, "entry", "(")  # Bypasses the validation of the type.
    text = _text(_Server("postgres", wrong, "ldb-x", 0.0), Session())  # type: ignore[arg-type]
    assert text.startswith("The log could not be read: ")


def test_silent_engine_delays_one_report_only() -> None:
    class Session:
        """An engine that has stopped responding."""

        asked = 0

        def log(self, container: str, **_: Any) -> Any:
            self.asked += 1
            raise EngineUnavailable(container, "the engine does not answer any more")

    class Watch:
        """It has not noticed the end."""

        waited_s = 0.0

        def ended(self, timeout_s: float) -> None:
            self.waited_s += timeout_s

    session, watch = Session(), Watch()
    server = _Server("postgres", POSTGRES, "ldb-x", 0.0, watch=watch)  # type: ignore[arg-type]
    for _ in range(3):
        text = _text(server, session)  # type: ignore[arg-type]
        assert text.startswith("The log is not available. ldb-x: the engine does not answer")
    assert session.asked == 1
    assert watch.waited_s < 2


def test_half_a_log_delays_one_report_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failure_logs, "READING_S", 0.01)

    class Session:
        """An engine that stops in the middle of a log."""

        def log(self, container: str, **_: Any) -> Any:
            class Log:
                def __init__(self) -> None:
                    self._closed = threading.Event()

                def __iter__(self) -> Iterator[str]:
                    yield OURS[0]
                    assert self._closed.wait(10)

                def close(self) -> None:
                    self._closed.set()

            return Log()

    session, server = Session(), _Server("postgres", POSTGRES, "ldb-x", 0.0)
    assert _text(server, session) == OURS[0]  # type: ignore[arg-type]
    assert "it sent half a log" in _text(server, session)  # type: ignore[arg-type]
