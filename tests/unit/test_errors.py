"""Error messages: subject, fact, evidence, remedy."""

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
ALL = [error_class for _, error_class in CLASSES]


@pytest.mark.parametrize(
    ("evidence", "remedy", "text"),
    [
        ("", "", "postgres: it ended."),
        ("", "Start it.", "postgres: it ended.\nStart it."),
        ("one\ntwo", "", "postgres: it ended.\n    one\n    two"),
        ("one\ntwo", "Start it.", "postgres: it ended.\n    one\n    two\nStart it."),
    ],
)
def test_message_indents_evidence_and_ends_with_the_remedy(
    evidence: str, remedy: str, text: str
) -> None:
    error = LdbError("postgres", "it ended", evidence=evidence, remedy=remedy)
    assert str(error) == text
    assert (error.subject, error.fact) == ("postgres", "it ended")
    assert (error.evidence, error.remedy) == (evidence, remedy)


def test_all_errors_are_in_the_class_diagram() -> None:
    drawing = re.findall(r"^[ │├└─]*(\w+)", errors.__doc__ or "", re.MULTILINE)
    assert {error_class.__name__ for error_class in ALL} <= set(drawing)


@pytest.mark.parametrize("error_class", ALL, ids=lambda error_class: error_class.__name__)
def test_all_errors_share_a_base_and_are_documented(error_class: type[LdbError]) -> None:
    assert issubclass(error_class, LdbError)
    assert error_class.__doc__
    assert error_class is LdbError or error_class.__doc__.startswith("Raised when")


@pytest.mark.parametrize("error_class", ALL, ids=lambda error_class: error_class.__name__)
def test_errors_can_be_pickled(error_class: type[LdbError]) -> None:
    error = error_class("postgres", "it ended", evidence="log", remedy="Start it.")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (error_class, str(error), vars(error))


def test_internal_frames_are_hidden_except_for_bugs() -> None:
    with pytest.raises(LdbError) as expected:
        raise LdbError("postgres", "it ended")
    with pytest.raises(ValueError, match="the user's own") as theirs:
        raise ValueError("the user's own")
    with pytest.raises(ValueError, match="a bug") as bug:
        exec("raise ValueError('a bug')", {"__name__": "pytest_ldb.lifecycle.lease"})
    assert errors.hidden(expected)
    assert errors.hidden(theirs)
    assert not errors.hidden(bug)
