"""Mask passwords in test reports.

A report shows the values of a test's variables, compared values and captured output. Passwords
that pytest-ldb generated are masked everywhere, as they are random and match nothing else. The
password of an existing server is masked only inside URLs: it may be a common word, which can even
be part of the test's path.
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
    """Mask the passwords in all parts of the report, in place."""
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
    """Return the value with passwords masked; pytest's own objects are modified in place."""
    if isinstance(value, str):
        return hidden.sub(MASK, value)
    if isinstance(value, (list, tuple)):
        return type(value)(_masked(part, hidden) for part in value)
    if type(value).__module__.startswith("_pytest."):
        for name, part in vars(value).items():
            setattr(value, name, _masked(part, hidden))
    return value
