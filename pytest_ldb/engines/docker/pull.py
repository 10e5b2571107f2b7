"""What the engine says while it pulls an image."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

INTERVAL_S = 1.0

Heard = Callable[[int, int], None]
"""Takes how many bytes have been downloaded, and how many there are, as far as the engine knows."""


class Pulling:
    """Adds up the layers of an image that is being pulled.

    Args:
        heard: Told whenever there is something new.

    Attributes:
        error: Why the pull failed; empty if it did not.
    """

    def __init__(self, heard: Heard) -> None:
        self.error = ""
        self._heard = heard
        self._layers: dict[str, tuple[int, int]] = {}

    def take(self, event: Mapping[str, Any]) -> None:
        """Take in one message of the engine (`POST /images/create`, one JSON object each)."""
        self.error = event.get("error", self.error)
        detail = event.get("progressDetail") or {}
        if event.get("status") == "Downloading" and "total" in detail:
            self._layers[event["id"]] = (detail.get("current", 0), detail["total"])
        elif event.get("status") == "Download complete" and event.get("id") in self._layers:
            total = self._layers[event["id"]][1]
            self._layers[event["id"]] = (total, total)
        if self._layers:
            done, total = (sum(column) for column in zip(*self._layers.values(), strict=True))
            self._heard(done, total)


class PullProgress:
    """Says every second, in lines for people, how far a pull is."""

    def __init__(
        self,
        reference: str,
        say: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reference = reference
        self._say = say
        self._now = now
        self._next = now()
        say(f"pulling {reference}")

    def heard(self, done: int, total: int) -> None:
        """Say it, if that was not just said."""
        if self._now() >= self._next:
            self._next = self._now() + INTERVAL_S
            self._say(f"pulling {self._reference}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")
