"""Passwords disappear from the reports of failing tests.

Objects of ours hide them in their reprs. What a test builds from them itself, an f-string or an
assertion that compares URLs, is plain text by the time it reaches a report.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import pytest

from ..model.instance import MASK


def mask_report(report: pytest.TestReport, secrets: Iterable[str]) -> None:
    """Replace the secrets in everything that the report shows, in place."""
    hidden = [form for secret in secrets if secret for form in {secret, quote(secret, safe="")}]
    report.longrepr = _masked(report.longrepr, hidden)
    report.sections = _masked(report.sections, hidden)


def _masked(value: Any, hidden: list[str]) -> Any:
    """Return the value without secrets; pytest's representations are changed where they are."""
    if isinstance(value, str):
        for secret in hidden:
            value = value.replace(secret, MASK)
        return value
    if isinstance(value, (list, tuple)):
        return type(value)(_masked(part, hidden) for part in value)
    if type(value).__module__.startswith("_pytest."):
        for name, part in vars(value).items():
            setattr(value, name, _masked(part, hidden))
    return value
