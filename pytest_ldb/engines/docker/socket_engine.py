"""An engine on this machine, asked through its socket for what every run needs.

Importing the Docker SDK, and taking it down at the end, takes half as long as starting a server
from a cached. So what every run needs is done without it. Everything else, and everything that
goes wrong, is the SDK's.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from ...shell import shell
from ..protocol import Container, ContainerSpec, Execution, Guard, Image, Log, Volume, Watch
from .errors import translated
from .guard import ProcessGuard
from .inspect import container_of, image_of, short
from .log_lines import LogLines
from .payloads import ShellCommand, creation, execute
from .transport.discovery import socket_of
from .transport.endpoint import Endpoint
from .transport.http import Answer, Refused, ask, open_body, take_over
from .transport.streams import FramedLog, MultiplexedStream
from .watch import UNKNOWN_EXIT, LogWatch, exit_code

if TYPE_CHECKING:
    from .preopened import PreopenedShells
    from .sdk_engine import SdkEngine

Opener = Callable[[str, str], socket.socket | None]
"""Opens a connection on which a log comes, from the engine's socket and a target."""


class SocketEngine:
    """Containers on an engine that listens on a Unix socket of this machine.

    Args:
        url: ``unix://…``; it must be the one that the SDK would use.
        early: Shells that are open already.
    """

    def __init__(self, url: str, early: PreopenedShells | None = None) -> None:
        self.url = url
        self._endpoint = Endpoint(url)
        self._path = socket_of(url)
        self._early = early

    def __reduce__(self) -> tuple[type[SocketEngine], tuple[str]]:
        return type(self), (self.url,)

    def bind(self, chosen: str | None) -> str:
        return self._endpoint.bind(chosen)

    def image(self, reference: str, *, pull: str, say: Callable[[str], None]) -> Image:
        target = f"/images/{quote(reference)}/json"
        answer = None if pull == "always" else self._answer("GET", target)
        if answer is None or not answer.is_fine:
            return self._sdk.image(reference, pull=pull, say=say)
        return image_of(answer.body)

    def find(self, name: str) -> Container | None:
        answer = self._answer("GET", f"/containers/{quote(name)}/json")
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
        return shell.Shell(MultiplexedStream(connection), short(container))

    def containers(self, labels: Mapping[str, str]) -> Sequence[Container]:
        return self._sdk.containers(labels)

    def create(self, spec: ContainerSpec) -> str:
        target = f"/containers/create?name={quote(spec.name)}"
        plain = not (spec.files or spec.volumes)
        answer = self._answer("POST", target, creation(spec)) if plain else None
        if answer is None or not answer.is_fine:
            return self._sdk.create(spec)  # Whatever is wrong is still wrong when asked again.
        return str(answer.body["Id"])

    def start(self, container: str) -> Watch:
        stream = "stream=1&stdout=1&stderr=1"
        watch = self._watch(take_over, f"/containers/{quote(container)}/attach?{stream}", container)
        if watch is None:
            return self._sdk.start(container)
        answer = self._answer("POST", f"/containers/{quote(container)}/start")
        if answer is not None and answer.is_fine:
            return watch
        watch.close()
        if answer is None:
            return self._sdk.start(container)
        # It must not be asked again: a container that removes itself has done so.
        raise translated(container, Refused.by(answer))

    def watch(self, container: str) -> Watch:
        watch = self._watch(open_body, _logs(container, follow=1), container)
        return watch or self._sdk.watch(container)

    def log(
        self,
        container: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
    ) -> Log:
        lines = "all" if tail is None else tail
        target = _logs(container, follow=int(follow), tail=lines, since=since or 0)
        log = self._open(open_body, target)
        if log is None:
            return self._sdk.log(container, follow=follow, tail=tail, since=since)
        return LogLines(log)

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

    def volumes(self, labels: Mapping[str, str]) -> Sequence[Volume]:
        return self._sdk.volumes(labels)

    def remove_volume(self, name: str) -> None:
        self._sdk.remove_volume(name)

    def execute(
        self, container: str, argv: Sequence[str], *, environment: Mapping[str, str], tty: bool
    ) -> Execution:
        return self._sdk.execute(container, argv, environment=environment, tty=tty)

    def guard(self, identity: str) -> Guard:
        return ProcessGuard(identity, type(self), self.url)

    @cached_property
    def _sdk(self) -> SdkEngine:
        from .transport.sdk_import import sdk_engine

        return sdk_engine()

    def _answer(self, method: str, target: str, content: object = None) -> Answer | None:
        try:
            return ask(self._path, method, target, content)
        except OSError:
            return None

    def _watch(self, log: Opener, target: str, container: str) -> LogWatch | None:
        lines = self._open(log, target)
        if lines is None:
            return None
        return LogWatch(
            lines,
            wait=lambda: exit_code(
                partial(self._next_exit, container), partial(self._state, container)
            ),
            out_of_memory=lambda: bool(self._state(container)["OOMKilled"]),
        )

    def _open(self, log: Opener, target: str) -> FramedLog | None:
        try:
            connection = log(self._path, target)
        except OSError:
            return None
        return None if connection is None else FramedLog(connection)

    def _next_exit(self, container: str, timeout_s: int) -> int | None:
        """Wait for the next end; one that removed itself before we could ask tells nothing."""
        target = f"/containers/{quote(container)}/wait?condition=next-exit"
        try:
            answer = ask(self._path, "POST", target, timeout_s=timeout_s)
        except TimeoutError:
            return None
        return int(answer.body["StatusCode"]) if answer.is_fine else UNKNOWN_EXIT

    def _state(self, container: str) -> Any:
        return ask(self._path, "GET", f"/containers/{quote(container)}/json").body["State"]


def _logs(container: str, **wanted: object) -> str:
    return f"/containers/{quote(container)}/logs?stdout=1&stderr=1&{urlencode(wanted)}"
