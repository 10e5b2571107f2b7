"""Which passwords are masked in reports."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_ldb.model.instance import MASK
from pytest_ldb.plugin.masking import mask_report

DERIVED = "0123456789abcdef" * 2


def masked(longrepr: Any, *passwords: str) -> Any:
    report = pytest.TestReport(
        nodeid="test_a.py::test",
        location=("test_a.py", 1, "test"),
        keywords={},
        outcome="failed",
        longrepr=longrepr,
        when="call",
        sections=[("Captured stdout call", str(longrepr))],
    )
    mask_report(report, passwords)
    assert report.sections == [("Captured stdout call", report.longrepr)]
    return report.longrepr


def test_derived_password_is_masked_everywhere() -> None:
    text = f"'password': '{DERIVED}', url postgresql://u:{DERIVED}@h and x{DERIVED}x"
    assert DERIVED not in masked(text, DERIVED)
    assert masked(text, DERIVED).count(MASK) == 3


@pytest.mark.parametrize("password", ["postgres", "p", "a+b", "::"])
def test_external_password_is_masked_in_urls_only(password: str) -> None:
    text = f"tests/test_postgres.py a+b:: {{}} p {password}"
    url = "postgresql://postgres:{}@localhost:5432/postgres"
    assert masked(text + url.format(password), password) == text + url.format(MASK)


def test_quoted_password_is_masked_in_urls() -> None:
    urls = "redis://:p%40%2Fw@h redis://:p@/w@h"
    assert masked(urls, "p@/w") == f"redis://:{MASK}@h redis://:{MASK}@h"


def test_server_without_password_masks_nothing() -> None:
    assert masked("redis://:@h", "") == "redis://:@h"
