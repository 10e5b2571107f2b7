"""Containers on a Docker engine, or on anything that speaks its API.

The only file that imports the Docker SDK. What the SDK raises is translated here, once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import requests
from docker import DockerClient
from docker.constants import DEFAULT_UNIX_SOCKET
from docker.context import ContextAPI
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.utils import parse_repository_tag

from ...model import errors
from ...shell import shell
from ..protocol import Container, ContainerSpec, Image, Volume
from . import commit as imaging
from .errors import image_unavailable, shell_refused, translated
from .exec import EngineExecution
from .guard import ProcessGuard
from .info import About, about
from .inspect import container_of, image_of, short
from .log_lines import LogLines
from .payloads import USER, ShellCommand, creation
from .pull import Heard, Pulling, PullProgress
from .transport.endpoint import Endpoint, knock, own_container
from .transport.streams import EngineLog, MultiplexedStream
from .watch import UNKNOWN_EXIT, LogWatch, exit_code

__tracebackhide__ = errors.hidden

REQUEST_TIMEOUT_S = 60


class SdkEngine:
    """Containers on the engine that ``DOCKER_HOST`` or the current Docker context names."""

    def __init__(self) -> None:
        url = _engine_url()
        with _translated(f"the container engine at {url}"):
            knock(url)
            client = DockerClient.from_env(timeout=REQUEST_TIMEOUT_S, use_ssh_client=True)
        self.endpoint = Endpoint(url)
        self.url = url
        self._api = client.api
        self._network = self._own_network()

    def __reduce__(self) -> tuple[type[SdkEngine], tuple[()]]:
        return type(self), ()

    def about(self) -> About:
        """Return what the engine says of itself."""
        with _translated(f"the container engine at {self.url}"):
            return about(self.endpoint, self._api.version(), self._api.info())

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

    def find(self, name: str) -> Container | None:
        with _translated(name):
            try:
                return container_of(
                    self._api.inspect_container(name),
                    self.endpoint,
                    networked=self._network is not None,
                )
            except NotFound:
                return None

    def containers(self, labels: Mapping[str, str]) -> Sequence[Container]:
        with _translated("the container engine"):
            listed = self._api.containers(all=True, filters=_carrying(labels))
        found = [self.find(row["Id"]) for row in listed]
        return [container for container in found if container is not None]

    def create(self, spec: ContainerSpec) -> str:
        with _translated(spec.name), self._having(spec.image):
            for name in set(spec.volumes.values()):
                # Podman leaves out the labels of volumes that it makes along with a container.
                self._api.create_volume(name, labels=dict(spec.labels))
            config = creation(spec, self._network)
            made = self._api.create_container_from_config(config, spec.name)  # type: ignore[no-untyped-call]
            identity: str = made["Id"]
            if spec.files:
                self._api.put_archive(identity, "/", imaging.archive(spec.files))
        return identity

    def start(self, container: str) -> LogWatch:
        watch = self._watch(container, from_start=False)
        try:
            with _translated(container):
                self._api.start(container)
        except errors.LdbError:
            watch.close()
            raise
        return watch

    def watch(self, container: str) -> LogWatch:
        return self._watch(container, from_start=True)

    def log(
        self,
        container: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
    ) -> LogLines:
        lines = "all" if tail is None else tail
        with _translated(container):
            return LogLines(self._log(container, follow=follow, tail=lines, since=since))

    def stop(self, container: str) -> None:
        with _translated(container), _ignoring(NotFound):
            self._api.stop(container, timeout=10)

    def unpause(self, container: str) -> None:
        with _translated(container):
            try:
                self._api.unpause(container)
            except APIError as error:
                if "is not paused" not in str(error.explanation):
                    raise

    def remove(self, container: str) -> None:
        with _translated(container), _ignoring(NotFound):
            try:
                self._api.remove_container(container, force=True, v=True)
            except APIError as error:
                if "already in progress" not in str(error.explanation):
                    raise
        self._wait_until_gone(container)

    def remember(
        self, container: str, paths: Sequence[str], labels: Mapping[str, str], tag: str
    ) -> str:
        with _translated(tag):
            return imaging.remember(self._api, container, paths, labels, tag)

    def images(self, labels: Mapping[str, str]) -> Sequence[Image]:
        with _translated("the container engine"):
            listed = self._api.images(filters=_carrying(labels))
        return [
            Image(id=row["Id"], volumes=(), labels=row["Labels"] or {}, size_bytes=row["Size"])
            for row in listed
        ]

    def remove_image(self, image: str) -> None:
        with _translated(image), _ignoring(NotFound):
            self._api.remove_image(image)

    def volumes(self, labels: Mapping[str, str]) -> Sequence[Volume]:
        with _translated("the container engine"):
            listed = self._api.volumes(filters=_carrying(labels))["Volumes"] or ()
        return [Volume(name=row["Name"], labels=row["Labels"] or {}) for row in listed]

    def remove_volume(self, name: str) -> None:
        with _translated(name), _ignoring(NotFound):
            self._api.remove_volume(name)

    def execute(
        self, container: str, argv: Sequence[str], *, environment: Mapping[str, str], tty: bool
    ) -> EngineExecution:
        with _translated(container):
            return EngineExecution.begin(self._api, container, argv, environment, tty=tty)

    def shell(
        self, container: str, *, environment: Mapping[str, str], ephemeral: bool
    ) -> shell.Shell:
        command = ShellCommand.of(environment, ephemeral=ephemeral)
        try:
            created = self._api.exec_create(
                container,
                command.arguments,
                stdin=True,
                environment=command.environment,
                user=USER,
            )
            connection = self._api.exec_start(created["Id"], socket=True)
        except (APIError, requests.ConnectionError) as error:
            raise shell_refused(container, error) from error
        return shell.Shell(MultiplexedStream(connection), short(container))

    def guard(self, identity: str) -> ProcessGuard:
        return ProcessGuard(identity, type(self))

    def _image(self, reference: str) -> Image:
        with _translated(reference), self._having(reference):
            data = self._api.inspect_image(reference)  # type: ignore[no-untyped-call]
        return image_of(data)

    @contextmanager
    def _having(self, reference: str) -> Iterator[None]:
        try:
            yield
        except ImageNotFound:
            raise self._image_unavailable(reference, "the engine does not have it") from None

    def pull(self, reference: str, heard: Heard) -> None:
        """Pull an image, even one that is here already.

        Raises:
            ImageUnavailable: It could not be pulled.
        """
        repository, tag = parse_repository_tag(reference)
        pulling = Pulling(heard)
        with _translated(reference):
            try:
                for event in self._api.pull(repository, tag or "latest", stream=True, decode=True):
                    pulling.take(event)
            except APIError as error:
                pulling.error = str(error.explanation)
        if pulling.error:
            raise self._image_unavailable(reference, "the image could not be pulled", pulling.error)

    def _image_unavailable(self, reference: str, fact: str, evidence: str = "") -> errors.LdbError:
        repository = parse_repository_tag(reference)[0]
        present = [
            tag for image in self._api.images(name=repository) for tag in image["RepoTags"] or ()
        ]
        return image_unavailable(reference, fact, evidence, present)

    def _own_network(self) -> str | None:
        """Return the network to join when this process is in a container of the same engine.

        From inside a container, ports published on the host's loopback cannot be reached, but a
        neighbour on the same network can.
        """
        name = own_container()
        if name is None or not self.endpoint.is_local:
            return None
        try:
            networks = self._api.inspect_container(name)["NetworkSettings"]["Networks"]
        except (DockerException, requests.RequestException):
            return None
        return next((network for network in networks if network != "host"), None)

    def _watch(self, container: str, *, from_start: bool) -> LogWatch:
        with _translated(container):
            # `attach` could replay the log too, but the SDK loses what comes right behind the head
            # of the engine's answer.
            log = self._log(container, follow=True) if from_start else self._attach(container)
        return LogWatch(
            log,
            wait=lambda: exit_code(
                partial(self._next_exit, container), partial(self._state, container)
            ),
            out_of_memory=lambda: bool(self._state(container)["OOMKilled"]),
        )

    def _log(self, container: str, **wanted: Any) -> EngineLog:
        # Asked for the stream of a container that is gone, the SDK leaves its connection open.
        self._api.inspect_container(container)
        return EngineLog(self._api.logs(container, stream=True, **wanted))

    def _attach(self, container: str) -> EngineLog:
        self._api.inspect_container(container)  # As above.
        return EngineLog(self._api.attach(container, stream=True))

    def _next_exit(self, container: str, timeout_s: int) -> int | None:
        """Wait for the next end; one that removed itself before we could ask tells nothing."""
        try:
            answer = self._api.wait(container, timeout=timeout_s, condition="next-exit")
        except NotFound:
            return UNKNOWN_EXIT
        except (requests.Timeout, requests.ConnectionError):
            return None
        return int(answer["StatusCode"])

    def _state(self, container: str) -> Any:
        return self._api.inspect_container(container)["State"]

    def _wait_until_gone(self, container: str) -> None:
        """Wait until the name is free again; removal goes on after the engine has answered."""
        deadline = time.monotonic() + REQUEST_TIMEOUT_S
        while self.find(container) is not None and time.monotonic() < deadline:
            time.sleep(0.02)


def _engine_url() -> str:
    if os.environ.get("DOCKER_HOST"):
        return os.environ["DOCKER_HOST"]
    with _translated("the current Docker context"):
        context = ContextAPI.kwargs_from_context(environment=os.environ)
    return str(context.get("base_url") or DEFAULT_UNIX_SOCKET)


def _carrying(labels: Mapping[str, str]) -> dict[str, list[str]]:
    return {"label": [f"{name}={value}" if value else name for name, value in labels.items()]}


@contextmanager
def _ignoring(*kinds: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kinds:
        return


@contextmanager
def _translated(subject: str) -> Iterator[None]:
    """Turn what the SDK raises into our errors."""
    try:
        yield
    except (DockerException, requests.RequestException, OSError) as error:
        raise translated(subject, error) from error
