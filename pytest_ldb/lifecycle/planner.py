"""From what the user decided and a type of database to a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..engines.protocol import Engine, Image
from ..model.database_type import DatabaseType
from ..model.errors import hidden
from ..model.request import CreateInstanceRequest, Scope
from ..model.settings import Settings

__tracebackhide__ = hidden


@dataclass(frozen=True)
class Planner:
    """Decides what is to be started. The only place that reads ``Settings`` for that."""

    engine: Engine
    settings: Settings
    scope: Scope
    say: Callable[[str], None]

    def shared(
        self, database_type: DatabaseType, *, pull: str = ""
    ) -> tuple[CreateInstanceRequest, Image]:
        """Return the request for the server that all processes of this run share.

        Args:
            database_type: What to run.
            pull: When to pull the image, instead of what the settings say.

        Raises:
            ImageUnavailable: The image is neither here nor to be had.
        """
        return self._request(database_type, kept=self.settings.keep, pull=pull)

    def private(
        self, database_type: DatabaseType, *, suffix: str, image: str | None
    ) -> tuple[CreateInstanceRequest, Image]:
        """Return the request for a server that this process has to itself.

        Args:
            database_type: What to run.
            suffix: Tells it from the others.
            image: The reference to run, whatever the settings say.
        """
        return self._request(database_type, shared=False, suffix=suffix, image=image)

    def standalone(
        self, database_type: DatabaseType, *, image: str | None, port: int | None
    ) -> tuple[CreateInstanceRequest, Image]:
        """Return the request for a server that stays until somebody deletes it, unnamed as yet.

        Args:
            database_type: What to run.
            image: The reference to run, whatever the settings say.
            port: To publish it on; None for one that the engine chooses.
        """
        request, found = self._request(database_type, kept=True, shared=False, image=image)
        return replace(request, host_port=port), found

    def _request(
        self,
        database_type: DatabaseType,
        *,
        kept: bool = False,
        shared: bool = True,
        suffix: str = "",
        image: str | None = None,
        pull: str = "",
    ) -> tuple[CreateInstanceRequest, Image]:
        reference = image or self.settings.image_for(database_type.name, database_type.image)
        bind = self.engine.bind(self.settings.bind)
        found = self.engine.image(reference, pull=pull or self.settings.pull, say=self.say)
        request = CreateInstanceRequest(
            database_type=database_type,
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
        return request, replace(found, volumes=database_type.data_paths or found.volumes)
