"""An engine on this machine, asked through its socket for what attaching to a server takes.

Importing the Docker SDK takes longer than attaching. So that much is done without it, and
everything else, and everything that goes wrong, is the SDK's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from ..core import shell
from ..core.runtime import Container, ContainerSpec, Guard, Image, Watch
from .discovery import socket_of
from .endpoint import Endpoint
from .http import Answer, ask
from .inside import ShellCommand, execute
from .inspection import container_of, image_of
from .streams import MultiplexedStream

if TYPE_CHECKING:
    from .docker import DockerRuntime
    from .early import EarlyShells


class LocalRuntime:
    """Containers on an engine that listens on a Unix socket of this machine.

    Args:
        url: ``unix://…``; it must be the one that the SDK would use.
        early: Shells that are open already.
    """

    def __init__(self, url: str, early: EarlyShells | None = None) -> None:
        self.engine = url
        self._endpoint = Endpoint(url)
        self._path = socket_of(url)
        self._early = early

    def __reduce__(self) -> tuple[type[LocalRuntime], tuple[str]]:
        return type(self), (self.engine,)

    def bind(self, chosen: str | None) -> str:
        return self._endpoint.bind(chosen)

    def image(self, reference: str, *, pull: str, say: Callable[[str], None]) -> Image:
        answer = self._get(f"/images/{quote(reference)}/json") if pull != "always" else None
        if answer is None or not answer.is_fine:
            return self._sdk.image(reference, pull=pull, say=say)
        return image_of(answer.body)

    def find(self, name: str) -> Container | None:
        answer = self._get(f"/containers/{quote(name)}/json")
        if answer is None:
            return self._sdk.find(name)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if not answer.is_fine:
            return self._sdk.find(name)
        return container_of(answer.body, self._endpoint, networked=False)

    def shell(
        self, container: str, *, environment: Mapping[str, str], ephemeral: bool
    ) -> shell.Shell:
        command = ShellCommand.of(environment, ephemeral=ephemeral)
        connection = self._early and self._early.take(container, command)
        connection = connection or execute(self._path, container, command)
        if connection is None:
            return self._sdk.shell(container, environment=environment, ephemeral=ephemeral)
        return shell.Shell(MultiplexedStream(connection), container[:12])

    def containers(self, labels: Mapping[str, str]) -> Sequence[Container]:
        return self._sdk.containers(labels)

    def create(self, spec: ContainerSpec) -> str:
        return self._sdk.create(spec)

    def start(self, container: str) -> Watch:
        return self._sdk.start(container)

    def watch(self, container: str) -> Watch:
        return self._sdk.watch(container)

    def stop(self, container: str) -> None:
        self._sdk.stop(container)

    def unpause(self, container: str) -> None:
        self._sdk.unpause(container)

    def remove(self, container: str) -> None:
        self._sdk.remove(container)

    def remember(
        self, container: str, paths: Sequence[str], labels: Mapping[str, str], tag: str
    ) -> str:
        return self._sdk.remember(container, paths, labels, tag)

    def images(self, labels: Mapping[str, str]) -> Sequence[Image]:
        return self._sdk.images(labels)

    def remove_image(self, image: str) -> None:
        self._sdk.remove_image(image)

    def guard(self, identity: str) -> Guard:
        return self._sdk.guard(identity)

    @cached_property
    def _sdk(self) -> DockerRuntime:
        from .docker import DockerRuntime

        return DockerRuntime()

    def _get(self, target: str) -> Answer | None:
        try:
            return ask(self._path, "GET", target)
        except OSError:
            return None
