"""Passwords are masked in the reports of tests.

A report shows values of a test's variables, assertions that compare them and what the test
printed. Two things are masked there: passwords that pytest-ldb derived, which are too random to
be part of anything else, and the passwords of other servers inside of URLs. Elsewhere the
password of another server stays, as it may be a common word, even a part of the test's path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import pytest

from ..model.instance import MASK

_DERIVED = re.compile("[0-9a-f]{32}")


def mask_report(report: pytest.TestReport, passwords: Iterable[str]) -> None:
    """Mask these passwords in everything that the report shows, in place."""
    patterns = [_pattern(password) for password in passwords if password]
    if patterns:
        hidden = re.compile("|".join(patterns))
        report.longrepr = _masked(report.longrepr, hidden)
        report.sections = _masked(report.sections, hidden)


def _pattern(password: str) -> str:
    if _DERIVED.fullmatch(password):
        return password
    forms = "|".join(re.escape(form) for form in {password, quote(password, safe="")})
    return f"(?<=:)(?:{forms})(?=@)"


def _masked(value: Any, hidden: re.Pattern[str]) -> Any:
    """Return the value without passwords; pytest's representations are changed in place."""
    if isinstance(value, str):
        return hidden.sub(MASK, value)
    if isinstance(value, (list, tuple)):
        return type(value)(_masked(part, hidden) for part in value)
    if type(value).__module__.startswith("_pytest."):
        for name, part in vars(value).items():
            setattr(value, name, _masked(part, hidden))
    return value
