"""Which entries of the cache, and which of its images, can be removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from ..engines.protocol import Container, Engine, Image
from ..model.errors import EngineFailed, ImageUnavailable
from ..model.request import BUILDING, LABEL, container_name
from .cache import DAY_S, CachedServer, ServerCache

UNUSED_S = 30 * DAY_S
MOST_OF_A_TYPE = 5
"""Init scripts that change every hour must not fill the disk."""


def old_entries(engine: Engine, cache: ServerCache) -> Iterator[tuple[CachedServer, str]]:
    """Yield the entries that can be removed, and why."""
    counts: dict[str, int] = {}
    for entry, unused_s in sorted(cache.known(), key=lambda known: known[1]):
        count = counts[entry.type] = counts.get(entry.type, 0) + 1
        # An entry without an image records a failure, which is tried again after a day.
        if unused_s > (UNUSED_S if entry.image else DAY_S):
            yield entry, f"it has not been used for {unused_s / DAY_S:.0f} days"
        elif count > MOST_OF_A_TYPE:
            yield entry, f"{MOST_OF_A_TYPE} entries of {entry.type} were used more recently"
        elif not _is_base_there(engine, entry):
            yield entry, f"{entry.base} was removed, or names another image now"


def unnamed_images(
    engine: Engine, cache: ServerCache, without: Iterable[CachedServer] = ()
) -> list[Image]:
    """Return the images of this user's cache that no entry names, leaving some entries out."""
    left_out = {entry.key for entry in without}
    named = {entry.image for entry, _ in cache.known() if entry.key not in left_out}
    images = engine.images({f"{LABEL}user": cache.user})
    return [image for image in images if image.id not in named]


def unfinished(engine: Engine, cache: ServerCache) -> list[Container]:
    """Return the containers of this user's builders, which are stale unless one is running.

    Whatever is started from a cached image inherits its labels; names are not inherited.
    """
    labels = {f"{LABEL}user": cache.user, f"{LABEL}cached": ""}
    named = container_name(BUILDING)
    return [found for found in engine.containers(labels) if found.name.startswith(named)]


def remove_unnamed_images(engine: Engine, cache: ServerCache) -> None:
    """Remove the images of this user's cache that no entry names."""
    for image in unnamed_images(engine, cache):
        with suppress(EngineFailed):  # A container still uses it.
            engine.remove_image(image.id)


def _is_base_there(engine: Engine, entry: CachedServer) -> bool:
    try:
        image = engine.image(entry.base, pull="never", say=lambda _line: None)
    except ImageUnavailable:
        return False
    return image.id == entry.base_id
