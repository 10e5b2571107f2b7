"""From what the user decided and a type of database to a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..engines.protocol import Image, Runtime
from ..model.database_type import DatabaseType
from ..model.errors import hidden
from ..model.request import CreateInstanceRequest, Scope
from ..model.settings import Settings

__tracebackhide__ = hidden


@dataclass(frozen=True)
class Planner:
    """Decides what is to be started. The only place that reads ``Settings`` for that."""

    runtime: Runtime
    settings: Settings
    scope: Scope
    say: Callable[[str], None]

    def shared(self, kind: DatabaseType, *, pull: str = "") -> tuple[CreateInstanceRequest, Image]:
        """Return the request for the server that all processes of this run share.

        Args:
            kind: What to run.
            pull: When to pull the image, instead of what the settings say.

        Raises:
            ImageUnavailable: The image is neither here nor to be had.
        """
        return self._request(kind, kept=self.settings.keep, pull=pull)

    def private(
        self, kind: DatabaseType, *, suffix: str, image: str | None
    ) -> tuple[CreateInstanceRequest, Image]:
        """Return the request for a server that this process has to itself.

        Args:
            kind: What to run.
            suffix: Tells it from the others.
            image: The reference to run, whatever the settings say.
        """
        return self._request(kind, shared=False, suffix=suffix, image=image)

    def free_standing(
        self, kind: DatabaseType, *, image: str | None, port: int | None
    ) -> tuple[CreateInstanceRequest, Image]:
        """Return the request for a server that stays until somebody deletes it, unnamed as yet.

        Args:
            kind: What to run.
            image: The reference to run, whatever the settings say.
            port: To publish it on; None for one that the engine chooses.
        """
        request, found = self._request(kind, kept=True, shared=False, image=image)
        return replace(request, host_port=port), found

    def _request(
        self,
        kind: DatabaseType,
        *,
        kept: bool = False,
        shared: bool = True,
        suffix: str = "",
        image: str | None = None,
        pull: str = "",
    ) -> tuple[CreateInstanceRequest, Image]:
        reference = image or self.settings.image_for(kind.name, kind.image)
        bind = self.runtime.bind(self.settings.bind)
        found = self.runtime.image(reference, pull=pull or self.settings.pull, say=self.say)
        request = CreateInstanceRequest(
            database_type=kind,
            image=reference,
            image_id=found.id,
            scope=self.scope,
            kept=kept,
            shared=shared,
            # A server of one's own is there to be stopped and broken, and keeps its data.
            durable=self.settings.durable or not shared,
            bind=bind,
            suffix=suffix,
        )
        return request, replace(found, volumes=kind.data_paths or found.volumes)
