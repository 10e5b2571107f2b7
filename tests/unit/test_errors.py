"""An error is a sentence: subject, fact, evidence, remedy."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from pytest_ldb.model import errors
from pytest_ldb.model.errors import LdbError

CLASSES = inspect.getmembers(
    errors, lambda it: inspect.isclass(it) and it.__module__ == errors.__name__
)
ALL = [kind for _, kind in CLASSES]


@pytest.mark.parametrize(
    ("evidence", "remedy", "text"),
    [
        ("", "", "postgres: it ended."),
        ("", "Start it.", "postgres: it ended.\nStart it."),
        ("one\ntwo", "", "postgres: it ended.\n    one\n    two"),
        ("one\ntwo", "Start it.", "postgres: it ended.\n    one\n    two\nStart it."),
    ],
)
def test_the_evidence_is_indented_and_the_remedy_comes_last(
    evidence: str, remedy: str, text: str
) -> None:
    error = LdbError("postgres", "it ended", evidence=evidence, remedy=remedy)
    assert str(error) == text
    assert (error.subject, error.fact) == ("postgres", "it ended")
    assert (error.evidence, error.remedy) == (evidence, remedy)


def test_all_errors_are_in_the_drawing() -> None:
    drawing = re.findall(r"^[ │├└─]*(\w+)", errors.__doc__ or "", re.MULTILINE)
    assert {kind.__name__ for kind in ALL} <= set(drawing)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_all_errors_have_one_base_and_say_when_they_are_raised(kind: type[LdbError]) -> None:
    assert issubclass(kind, LdbError)
    assert kind.__doc__
    assert kind is LdbError or kind.__doc__.startswith("Raised when")


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_error_survives_the_way_from_a_worker(kind: type[LdbError]) -> None:
    error = kind("postgres", "it ended", evidence="log", remedy="Start it.")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (kind, str(error), vars(error))


def test_frames_of_ours_are_hidden_unless_they_hold_a_bug() -> None:
    with pytest.raises(LdbError) as expected:
        raise LdbError("postgres", "it ended")
    with pytest.raises(ValueError, match="the user's own") as theirs:
        raise ValueError("the user's own")
    with pytest.raises(ValueError, match="a bug") as bug:
        exec("raise ValueError('a bug')", {"__name__": "pytest_ldb.lifecycle.lease"})
    assert errors.hidden(expected)
    assert errors.hidden(theirs)
    assert not errors.hidden(bug)
