"""The engine that uses the Docker SDK, imported when something needs it.

This may be in a thread, beside a test. The SDK imports requests, which imports urllib3's support of
SOCKS, which warns where PySocks is missing. requests hides the warning by a filter. But filters
belong to the process: when pytest sets those of a test meanwhile, the warning is shown, and with
``filterwarnings = error`` it ends the import and fails the test.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..sdk_engine import SdkEngine

_SOCKS = "urllib3.contrib.socks"


def sdk_engine() -> SdkEngine:
    """Return an engine on the engine that ``DOCKER_HOST`` or the Docker context names.

    Raises:
        EngineUnavailable: No engine answers.
    """
    with _without_socks():
        from ..sdk_engine import SdkEngine
    return SdkEngine()


@contextmanager
def _without_socks() -> Iterator[None]:
    """Let urllib3's support of SOCKS be absent without a warning, where it would be with one."""
    if _SOCKS in sys.modules or find_spec("socks"):
        yield
        return
    sys.modules[_SOCKS] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.modules.pop(_SOCKS, None)  # Another thread may have imported the same.
