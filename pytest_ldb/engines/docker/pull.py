"""Pulling an image, and the progress of that."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from .transport.connection import LONG_S
from .transport.http import Refused, Transport

INTERVAL_S = 1.0

Heard = Callable[[int, int], None]
"""Takes the bytes downloaded so far, and the bytes to download as far as the engine knows."""


class Pulling:
    """Adds up the layers of an image that is being pulled.

    Args:
        heard: Called whenever the numbers change.

    Attributes:
        error: Why the pull failed; empty if it did not.
    """

    def __init__(self, heard: Heard) -> None:
        self.error = ""
        self._heard = heard
        self._layers: dict[str, tuple[int, int]] = {}

    def take(self, event: Mapping[str, Any]) -> None:
        """Take one message of the engine (`POST /images/create`, one JSON object each)."""
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
    """Reports the progress of a pull to the user, at most once a second."""

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
        """Report it, if the last report is a second old."""
        if self._now() >= self._next:
            self._next = self._now() + INTERVAL_S
            self._say(f"pulling {self._reference}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")


def repository_and_tag(reference: str) -> tuple[str, str]:
    """Return the two parts of an image's reference; a digest counts as a tag."""
    repository, at, digest = reference.rpartition("@")
    if at:
        return repository, digest
    repository, colon, tag = reference.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (reference, "latest")


def pulled(transport: Transport, reference: str, headers: Mapping[str, str], heard: Heard) -> str:
    """Pull an image ("Create an image"), and return the error message; empty if there is none.

    Args:
        transport: Requests to the engine.
        reference: The image.
        headers: The credentials for its registry.
        heard: Called with the bytes downloaded so far, and the bytes to download.
    """
    repository, tag = repository_and_tag(reference)
    target = f"/images/create?{urlencode({'fromImage': repository, 'tag': tag})}"
    pulling = Pulling(heard)
    try:
        # The engine answers only after the registry has.
        for event in _events(transport.stream("POST", target, headers=headers, timeout_s=LONG_S)):
            pulling.take(event)
    except Refused as refused:
        return refused.message
    return pulling.error


def _events(chunks: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
    """Yield the messages of an engine that pulls, of which each is a line."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (json.loads(line) for line in lines if line.strip())
    if rest.strip():
        yield json.loads(rest)
