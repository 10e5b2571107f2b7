"""An engine on this machine, asked through its socket for what attaching to a server takes.

Importing the Docker SDK takes longer than attaching. So that much is done without it, and
everything else, and everything that goes wrong, is the SDK's.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..core import shell
from ..core.runtime import Container, ContainerSpec, Guard, Image, Watch
from .endpoint import Endpoint, own_container
from .http import Answer, ask, take_over
from .inside import USER, ShellCommand
from .inspection import container_of, image_of
from .streams import MultiplexedStream

if TYPE_CHECKING:
    from .docker import DockerRuntime

SCHEME = "unix://"
DEFAULT = f"{SCHEME}/var/run/docker.sock"


class LocalRuntime:
    """Containers on an engine that listens on a Unix socket of this machine.

    Args:
        url: ``unix://…``; it must be the one that the SDK would use.
    """

    def __init__(self, url: str) -> None:
        self.engine = url
        self._endpoint = Endpoint(url)
        self._path = url.removeprefix(SCHEME)

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
        connection = self._execute(container, command)
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

    def _execute(self, container: str, command: ShellCommand) -> socket.socket | None:
        """Begin a command in a container ("Exec"); None if anything is in the way."""
        content = {
            "Cmd": command.arguments,
            "Env": [f"{name}={value}" for name, value in command.environment.items()],
            "User": USER,
            **dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr"), True),
        }
        try:
            made = ask(self._path, "POST", f"/containers/{quote(container)}/exec", content)
            if not made.is_fine:
                return None
            return take_over(self._path, f"/exec/{made.body['Id']}/start", {"Detach": False})
        except OSError:
            return None


def local_engine() -> str | None:
    """Return the address of the engine that the SDK would use, if it is a socket of this machine.

    If this process is in a container of that engine, ports published on the loopback cannot be
    reached. What to do then is left to the other runtime.
    """
    url = os.environ.get("DOCKER_HOST") or _context_host()
    if url is None or not url.startswith("unix:///"):
        return None
    inside = own_container()
    if inside is None:
        return url
    try:
        there = ask(url.removeprefix(SCHEME), "GET", f"/containers/{quote(inside)}/json")
    except OSError:
        return None
    return url if there.status == HTTPStatus.NOT_FOUND else None


def _context_host() -> str | None:
    """Return the address in the current Docker context; None if that cannot be told."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or "~/.docker").expanduser()
    name = os.environ.get("DOCKER_CONTEXT") or _read(folder / "config.json").get("currentContext")
    if name in (None, "", "default"):
        return DEFAULT
    place = hashlib.sha256(str(name).encode()).hexdigest()
    context = _read(folder / "contexts/meta" / place / "meta.json")
    try:
        return str(context["Endpoints"]["docker"]["Host"])
    except (KeyError, TypeError):
        return None


def _read(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
