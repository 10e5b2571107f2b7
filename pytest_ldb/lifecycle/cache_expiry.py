"""Which cache, and which images of cache, can be removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from ..engines.protocol import Engine, Image
from ..model.errors import EngineFailed, ImageUnavailable
from ..model.request import LABEL
from .cache import DAY_S, CachedServer, ServerCache

UNUSED_S = 30 * DAY_S
MOST_OF_A_TYPE = 5
"""Init scripts that change every hour must not fill the disk."""


def old_cache(engine: Engine, cache: ServerCache) -> Iterator[tuple[CachedServer, str]]:
    """Yield the cache that can go, and why."""
    counts: dict[str, int] = {}
    for cached, unused_s in sorted(cache.known(), key=lambda known: known[1]):
        count = counts[cached.type] = counts.get(cached.type, 0) + 1
        if unused_s > (UNUSED_S if cached.image else DAY_S):
            yield cached, f"nobody used it for {unused_s / DAY_S:.0f} days"
        elif count > MOST_OF_A_TYPE:
            yield cached, f"there are {MOST_OF_A_TYPE} of {cached.type} that were used later"
        elif not _is_base_there(engine, cached):
            yield cached, f"{cached.base} is another image now, or gone"


def unnamed_images(
    engine: Engine, cache: ServerCache, without: Iterable[CachedServer] = ()
) -> list[Image]:
    """Return the images of this user's cache that no cached needs, some left out."""
    gone = {cached.key for cached in without}
    needed = {cached.image for cached, _ in cache.known() if cached.key not in gone}
    images = engine.images({f"{LABEL}user": cache.user})
    return [image for image in images if image.id not in needed]


def remove_unnamed_images(engine: Engine, cache: ServerCache) -> None:
    """Remove the images of this user's cache that no cached needs."""
    for image in unnamed_images(engine, cache):
        with suppress(EngineFailed):  # A container still uses it.
            engine.remove_image(image.id)


def _is_base_there(engine: Engine, cached: CachedServer) -> bool:
    try:
        image = engine.image(cached.base, pull="never", say=lambda _line: None)
    except ImageUnavailable:
        return False
    return image.id == cached.base_id
