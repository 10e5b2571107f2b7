"""What the engine says while it pulls an image, in lines for people."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

INTERVAL_S = 1.0


class PullProgress:
    """Adds up the layers and says every second how far they are.

    Attributes:
        error: Why the pull failed; empty if it did not.
    """

    def __init__(
        self,
        reference: str,
        say: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.error = ""
        self._reference = reference
        self._say = say
        self._now = now
        self._layers: dict[str, tuple[int, int]] = {}
        self._next = now()
        say(f"pulling {reference}")

    def heard(self, event: Mapping[str, Any]) -> None:
        """Take in one message of the engine (`POST /images/create`, one JSON object each)."""
        self.error = event.get("error", self.error)
        detail = event.get("progressDetail") or {}
        if event.get("status") == "Downloading" and "total" in detail:
            self._layers[event["id"]] = (detail.get("current", 0), detail["total"])
        elif event.get("status") == "Download complete" and event.get("id") in self._layers:
            total = self._layers[event["id"]][1]
            self._layers[event["id"]] = (total, total)
        if self._layers and self._now() >= self._next:
            self._next = self._now() + INTERVAL_S
            done, total = (sum(column) / 1e6 for column in zip(*self._layers.values(), strict=True))
            self._say(f"pulling {self._reference}: {done:.0f} of {total:.0f} MB")
