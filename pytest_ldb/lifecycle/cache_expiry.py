"""Which snapshots, and which images of snapshots, can be removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from ..engines.protocol import Image, Runtime
from ..model.errors import EngineFailed, ImageUnavailable
from ..model.request import LABEL
from .cache import DAY_S, Snapshot, Snapshots

UNUSED_S = 30 * DAY_S
MOST_OF_A_TYPE = 5
"""Init scripts that change every hour must not fill the disk."""


def old_snapshots(runtime: Runtime, snapshots: Snapshots) -> Iterator[tuple[Snapshot, str]]:
    """Yield the snapshots that can go, and why."""
    counts: dict[str, int] = {}
    for snapshot, unused_s in sorted(snapshots.known(), key=lambda known: known[1]):
        count = counts[snapshot.type] = counts.get(snapshot.type, 0) + 1
        if unused_s > (UNUSED_S if snapshot.image else DAY_S):
            yield snapshot, f"nobody used it for {unused_s / DAY_S:.0f} days"
        elif count > MOST_OF_A_TYPE:
            yield snapshot, f"there are {MOST_OF_A_TYPE} of {snapshot.type} that were used later"
        elif not _is_base_there(runtime, snapshot):
            yield snapshot, f"{snapshot.base} is another image now, or gone"


def unnamed_images(
    runtime: Runtime, snapshots: Snapshots, without: Iterable[Snapshot] = ()
) -> list[Image]:
    """Return the images of this user's snapshots that no snapshot needs, some left out."""
    gone = {snapshot.key for snapshot in without}
    needed = {snapshot.image for snapshot, _ in snapshots.known() if snapshot.key not in gone}
    images = runtime.images({f"{LABEL}user": snapshots.user})
    return [image for image in images if image.id not in needed]


def remove_unnamed_images(runtime: Runtime, snapshots: Snapshots) -> None:
    """Remove the images of this user's snapshots that no snapshot needs."""
    for image in unnamed_images(runtime, snapshots):
        with suppress(EngineFailed):  # A container still uses it.
            runtime.remove_image(image.id)


def _is_base_there(runtime: Runtime, snapshot: Snapshot) -> bool:
    try:
        image = runtime.image(snapshot.base, pull="never", say=lambda _line: None)
    except ImageUnavailable:
        return False
    return image.id == snapshot.base_id
