"""Containers on a Docker engine, or on anything that speaks its API.

Every method is a few requests to the Docker Engine API. A transport carries them to the engine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from ...model import errors
from ...shell.shell import Shell
from ...util.poll import tries
from ..protocol import Container, ContainerSpec, Image, Volume
from .errors import (
    answering,
    if_there,
    image_unavailable,
    is_without_image,
    shell_refused,
)
from .exec import EngineExecution
from .guard import ProcessGuard
from .inspect import About, OwnContainer, about, container_of, image_id, image_of, is_on_root, short
from .log_lines import LogLines
from .payloads import HOME, Command, begin, creation, lingering, shell_command
from .preopened import PreopenedShells
from .pull import Heard, PullProgress, pulled, repository_and_tag
from .transport.contexts import engine_address
from .transport.endpoint import Endpoint, own_container
from .transport.http import PATIENCE_S, UNIX_SCHEMES, Refused, Transport, unix_transport
from .transport.streams import FramedLog, MultiplexedStream
from .watch import LogWatch, watched

__tracebackhide__ = errors.hidden

GONE_WITHIN_S = 60.0
"""The most time that a removal may take."""

STOP_S = 10
"""How long a server may take to end by itself before it is killed; an integer in the API."""


class DockerEngine:
    """Containers on a Docker engine. Nothing is sent to it before the first method is called.

    Args:
        url: Its address; empty for the one that ``DOCKER_HOST`` or the current Docker context
            names.
        preopened: Shells that are being opened already.
        surroundings: The variables that say where the user's directories are.
        patience_s: How long it may take to answer for the first time; a second to ten seconds.
    """

    def __init__(
        self,
        url: str = "",
        preopened: PreopenedShells | None = None,
        surroundings: Mapping[str, str] = os.environ,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.url = url or _address(surroundings)
        self.endpoint = Endpoint(self.url)
        self._preopened = preopened
        self._patience_s = max(1.0, min(patience_s, PATIENCE_S))

    def __reduce__(self) -> tuple[type[DockerEngine], tuple[str]]:
        return type(self), (self.url,)

    def about(self) -> About:
        """Return the engine's description of itself."""
        with answering("the container engine", self.url):
            return about(self.endpoint, self._get("/version"), self._get("/info"))

    def discards(self, directory: Path) -> bool:
        with answering("the container engine", self.url):
            return self._own.is_removed_at_end and is_on_root(directory)

    def bind(self, chosen: str | None) -> str:
        return self.endpoint.bind(chosen)

    def image(self, reference: str, *, pull: str, say: Callable[[str], None]) -> Image:
        if pull == "always":
            self.pull(reference, PullProgress(reference, say).heard)
        try:
            return self._image(reference)
        except errors.ImageUnavailable:
            if pull == "never":
                raise
        self.pull(reference, PullProgress(reference, say).heard)
        return self._image(reference)

    def pull(self, reference: str, heard: Heard) -> None:
        """Pull an image, even if the engine has it already.

        Args:
            reference: The image.
            heard: Called with the bytes downloaded so far, and the bytes to download.

        Raises:
            ImageUnavailable: It could not be pulled.
        """
        from .transport.sdk import registry_headers

        try:
            headers = registry_headers(repository_and_tag(reference)[0])
        except OSError as error:
            fact = "the credentials for its registry could not be read"
            raise self._unavailable(reference, fact, str(error)) from error
        with answering(reference, self.url):
            problem = pulled(self._transport, reference, headers, heard)
        if problem:
            raise self._unavailable(reference, "the image could not be pulled", problem)

    def find(self, name: str) -> Container | None:
        with answering(name, self.url):
            data = self._found(name)
            networked = self._own.network is not None
        return data and container_of(data, self.endpoint, networked=networked)

    def containers(self, labels: Mapping[str, str]) -> Sequence[Container]:
        with answering("the container engine", self.url):
            listed = self._get(f"/containers/json?all=1&{_carrying(labels)}")
        found = [self.find(row["Id"]) for row in listed]
        return [container for container in found if container is not None]

    def create(self, spec: ContainerSpec) -> str:
        with answering(spec.name, self.url):
            for name in set(spec.volumes.values()):
                # Podman leaves out the labels of volumes that it makes along with a container.
                self._post("/volumes/create", {"Name": name, "Labels": dict(spec.labels)})
            try:
                content = creation(spec, self._own.network)
                if spec.lingers:
                    image = self._get(f"/images/{quote(image_id(spec.image))}/json")
                    content = lingering(content, image["Config"])
                made = self._post(f"/containers/create?name={quote(spec.name)}", content)
            except Refused as refused:
                if not is_without_image(refused):
                    raise
                raise self._absent(spec.image) from None
            identity = str(made["Id"])
            if spec.files:
                from . import commit  # Not needed to attach, and slow to import.

                commit.put(self._transport, identity, commit.archive(spec.files))
        return identity

    def start(self, container: str) -> LogWatch:
        with answering(container, self.url):
            target = f"/containers/{quote(container)}/attach?stream=1&stdout=1&stderr=1"
            watch = watched(self._transport, container, FramedLog(self._transport.hijack(target)))
            try:
                self._post(f"/containers/{quote(container)}/start")
            except BaseException:
                watch.close()
                raise
        return watch

    def watch(self, container: str) -> LogWatch:
        with answering(container, self.url):
            return watched(self._transport, container, self._log(container, follow=1))

    def log(
        self,
        container: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
    ) -> LogLines:
        wanted = {"follow": int(follow), "tail": "all" if tail is None else tail}
        with answering(container, self.url):
            return LogLines(self._log(container, **wanted, since=since or 0))

    def stop(self, container: str) -> None:
        with answering(container, self.url):
            target = f"/containers/{quote(container)}/stop?t={STOP_S}"
            if_there(self._transport, "POST", target, timeout_s=STOP_S + GONE_WITHIN_S)

    def unpause(self, container: str) -> None:
        with answering(container, self.url):
            try:
                self._post(f"/containers/{quote(container)}/unpause")
            except Refused as refused:
                if "is not paused" not in refused.message:  # Another process unpaused it.
                    raise

    def remove(self, container: str) -> None:
        with answering(container, self.url):
            try:
                if_there(self._transport, "DELETE", f"/containers/{quote(container)}?force=1&v=1")
            except Refused as refused:
                if "already in progress" not in refused.message:  # Another process removes it.
                    raise
        self._wait_until_gone(container)

    def remember(
        self, container: str, paths: Sequence[str], labels: Mapping[str, str], tag: str
    ) -> str:
        from . import commit

        with answering(tag, self.url):
            return commit.remember(self._transport, container, paths, labels, tag)

    def images(self, labels: Mapping[str, str]) -> Sequence[Image]:
        with answering("the container engine", self.url):
            listed = self._get(f"/images/json?{_carrying(labels)}")
        return [
            Image(
                id=image_id(row["Id"]),
                volumes=(),
                labels=row["Labels"] or {},
                size_bytes=row["Size"],
            )
            for row in listed
        ]

    def remove_image(self, image: str) -> None:
        with answering(image, self.url):
            if_there(self._transport, "DELETE", f"/images/{quote(image_id(image))}")

    def volumes(self, labels: Mapping[str, str]) -> Sequence[Volume]:
        with answering("the container engine", self.url):
            listed = self._get(f"/volumes?{_carrying(labels)}")["Volumes"] or ()
        return [Volume(name=row["Name"], labels=row["Labels"] or {}) for row in listed]

    def remove_volume(self, name: str) -> None:
        with answering(name, self.url):
            if_there(self._transport, "DELETE", f"/volumes/{quote(name)}")

    def execute(
        self, container: str, argv: Sequence[str], *, environment: Mapping[str, str], tty: bool
    ) -> EngineExecution:
        command = Command(tuple(argv), {"LDB_HOME": HOME, **environment}, tty)
        with answering(container, self.url):
            return EngineExecution(self._transport, container, command)

    def shell(self, container: str, *, environment: Mapping[str, str], ephemeral: bool) -> Shell:
        command = shell_command(environment, ephemeral=ephemeral)
        connection = self._preopened.take(container, command) if self._preopened else None
        with answering(container, self.url):
            try:
                connection = connection or begin(self._transport, container, command)[1]
            except (Refused, ConnectionResetError, BrokenPipeError) as error:
                raise shell_refused(container, error) from error
        return Shell(MultiplexedStream(connection), short(container))

    def guard(self, identity: str) -> ProcessGuard:
        return ProcessGuard(identity, type(self), self.url)

    @cached_property
    def _transport(self) -> Transport:
        if self.url.startswith(UNIX_SCHEMES):
            return unix_transport(self.url, self._patience_s)
        from .transport.sdk import sdk_transport

        return sdk_transport(self.url, self._patience_s)

    @cached_property
    def _own(self) -> OwnContainer:
        name = own_container() if self.endpoint.is_local else None
        return OwnContainer.of(name or "", self._found(name) if name else None)

    def _get(self, target: str) -> Any:
        return self._transport.request("GET", target)

    def _post(self, target: str, content: object = None) -> Any:
        return self._transport.request("POST", target, content)

    def _found(self, container: str) -> Any:
        return if_there(self._transport, "GET", f"/containers/{quote(container)}/json")

    def _image(self, reference: str) -> Image:
        with answering(reference, self.url):
            data = if_there(self._transport, "GET", f"/images/{quote(image_id(reference))}/json")
        if data is None:
            raise self._absent(reference)
        return image_of(data)

    def _absent(self, reference: str) -> errors.ImageUnavailable:
        return self._unavailable(reference, "the engine does not have it", "")

    def _unavailable(self, reference: str, fact: str, evidence: str) -> errors.ImageUnavailable:
        filters = {"reference": [repository_and_tag(reference)[0]]}
        with answering(reference, self.url):
            listed = self._get(f"/images/json?{_filters(filters)}")
        present = [tag for image in listed for tag in image["RepoTags"] or ()]
        return image_unavailable(reference, fact, evidence, present)

    def _log(self, container: str, **wanted: object) -> FramedLog:
        query = urlencode({"stdout": 1, "stderr": 1, **wanted})
        target = f"/containers/{quote(container)}/logs?{query}"
        return FramedLog(self._transport.stream("GET", target, timeout_s=PATIENCE_S))

    def _wait_until_gone(self, container: str) -> None:
        """Wait until the name is free again; removal goes on after the engine has answered."""
        for _ in tries(GONE_WITHIN_S, pause_s=0.02):
            if self.find(container) is None:
                return


def _address(surroundings: Mapping[str, str]) -> str:
    address = engine_address(surroundings)
    if address is None:
        raise errors.ContextUnknown(
            "the container engine",
            "the current Docker context does not exist, or names no engine",
            remedy="`docker context ls` lists those that exist; DOCKER_CONTEXT or "
            "`docker context use` chooses one.",
        )
    return address


def _carrying(labels: Mapping[str, str]) -> str:
    wanted = [f"{name}={value}" if value else name for name, value in labels.items()]
    return _filters({"label": wanted})


def _filters(wanted: Mapping[str, Sequence[str]]) -> str:
    return urlencode({"filters": json.dumps(wanted)})
