"""A place where containers live, as the rest of the core sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..model.instance import Address
from ..shell.shell import Shell


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that is on the engine.

    Args:
        id: Its digest; a tag may move, this does not.
        volumes: The paths that it declares as volumes: where its data goes.
        labels: Those of ours say what it was made for.
        size_bytes: What it takes, with the images below it.
    """

    id: str
    volumes: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    size_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """A container to create, every value final.

    Args:
        name: Unique on the engine.
        image: A reference or an id.
        command: What follows the image's entrypoint; empty for the image's own.
        environment: Variables, secrets included.
        labels: How it is found again.
        port: The TCP port to publish, on an engine-chosen port of ``bind``.
        bind: An address of the engine's host.
        memory_volumes: Paths to hold in memory, each of at most ``data_mib`` MiB.
        memory_mib: The most memory that it may use.
        shm_mib: The size of ``/dev/shm``.
        auto_remove: Whether it disappears, with its anonymous volumes, when it ends.
        files: Contents to place before it starts, by absolute path.
        host_port: The port of ``bind`` to publish on, instead of one that the engine chooses.
        volumes: The names of volumes, by the path to have them at. Those that there are not yet
            are made, with the container's labels.
    """

    name: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    labels: Mapping[str, str]
    port: int
    bind: str
    memory_volumes: tuple[str, ...]
    data_mib: int | None
    memory_mib: int | None
    shm_mib: int
    auto_remove: bool
    files: Mapping[str, bytes]
    host_port: int | None = None
    volumes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Container:
    """What the engine says of a container now.

    Args:
        id: The engine's id.
        name: Its name, without the leading slash.
        labels: Its labels.
        image_id: The id of its image.
        state: The engine's word: created, running, paused, restarting, removing, exited, dead.
        exit_code: Of its last end; None while it never ended.
        address: Where this process reaches its published port; None while it does not run.
        memory: The paths that it holds in memory.
        volumes: The names of its volumes, by path.
    """

    id: str
    name: str
    labels: Mapping[str, str]
    image_id: str
    state: str
    exit_code: int | None
    address: Address | None
    memory: tuple[str, ...] = ()
    volumes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A place for data that outlives containers.

    Args:
        name: Unique on the engine.
        labels: Those of the container that it was made for.
    """

    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Exit:
    """The end of a container.

    Args:
        code: Its exit code; above 128 the number of a signal plus 128.
        out_of_memory: Whether the engine saw its memory run out.
    """

    code: int
    out_of_memory: bool


class Watch(Protocol):
    """Evidence collected while a container runs, since afterwards it is gone."""

    def ended(self, timeout_s: float) -> Exit | None:
        """Return how the container ended, waiting for that at most so long; None: it runs."""

    def log(self, lines: int) -> str:
        """Return the last lines that the server wrote."""

    def close(self) -> None:
        """Stop watching; the container goes on."""


class Log(Protocol):
    """Lines that a server wrote, to its standard output and to its standard error."""

    def __iter__(self) -> Iterator[str]:
        """Return what yields them, without their ends; to be called once.

        It ends with the last line, or if the log is followed, with the container.
        """

    def close(self) -> None:
        """End it, also for a thread that is waiting for the next line."""


class Execution(Protocol):
    """A command that runs in a container, its standard streams at hand."""

    def send(self, data: bytes) -> None:
        """Give it input."""

    def end_input(self) -> None:
        """Tell it that no more input comes."""

    def receive(self, timeout_s: float) -> Sequence[tuple[int, bytes]]:
        """Return what it wrote, with 1 for output and 2 for errors; nothing when it has ended.

        Raises:
            TimeoutError: It wrote nothing in time.
        """

    def resize(self, rows: int, columns: int) -> None:
        """Tell it how large its terminal is."""

    def status(self) -> int:
        """Return its exit status, when it has ended."""

    def close(self) -> None:
        """Let go of it."""


class Guard(Protocol):
    """Ends a container when this process ends in whatever way, until it is released.

    Volumes that were made for it go too.
    """

    def release(self) -> None:
        """The container has another keeper now, or is gone."""


class Engine(Protocol):
    """A place where containers live. Every verb may be repeated.

    All verbs raise :class:`~.errors.EngineUnavailable` when the engine does not answer and
    :class:`~.errors.EngineFailed` for anything that is not named below. Other processes get a
    engine of their own by pickling this one.

    Attributes:
        url: The address of the engine.
    """

    url: str

    def bind(self, chosen: str | None) -> str:
        """Return the address to publish ports on: the one chosen, else this machine's loopback.

        Raises:
            InvalidRequest: Loopback would not do, and nobody chose.
        """

    def image(self, reference: str, *, pull: str, say: Callable[[str], None]) -> Image:
        """Return an image, pulled if ``pull`` (``missing``, ``always``, ``never``) says so.

        Raises:
            ImageUnavailable: It is not here and could not, or must not, be pulled.
        """

    def find(self, name: str) -> Container | None:
        """Return the container with exactly this name or id."""

    def containers(self, labels: Mapping[str, str]) -> Sequence[Container]:
        """Return the containers that carry all these labels; an empty value matches any."""

    def create(self, spec: ContainerSpec) -> str:
        """Create a container and return its id.

        Raises:
            NameTaken: The engine has a container of this name already.
            ImageUnavailable: The image is not on the engine any more.
        """

    def start(self, container: str) -> Watch:
        """Start a container, watched from before its first line of log.

        Raises:
            PortTaken: Somebody listens already on the port that it is to be published on.
        """

    def watch(self, container: str) -> Watch:
        """Watch a container that runs already."""

    def log(
        self,
        container: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
    ) -> Log:
        """Return what a container has written, whether it runs or not.

        Args:
            container: Its name or id.
            follow: Whether to go on with what it writes from now on.
            tail: How many of the last lines there are to be at the beginning; None: all.
            since: A moment, in seconds since 1970 by the engine's clock; lines before it are
                left out.
        """

    def stop(self, container: str) -> None:
        """Stop a container the way its image asks for; after 10 s it is killed."""

    def unpause(self, container: str) -> None:
        """Let a paused container go on."""

    def remove(self, container: str) -> None:
        """Remove a container and its anonymous volumes, running or not."""

    def remember(
        self, container: str, paths: Sequence[str], labels: Mapping[str, str], tag: str
    ) -> str:
        """Make an image of what a stopped container has at some paths, and return its id.

        A container of that image is one of the same base image, which has this at those paths when
        its command starts, even if they are held in memory.

        Args:
            container: It was created with nothing held in memory.
            paths: Directories.
            labels: For the image.
            tag: Its name.
        """

    def images(self, labels: Mapping[str, str]) -> Sequence[Image]:
        """Return the images that carry all these labels; an empty value matches any."""

    def remove_image(self, image: str) -> None:
        """Remove an image, unless a container uses it, which is refused (EngineFailed)."""

    def volumes(self, labels: Mapping[str, str]) -> Sequence[Volume]:
        """Return the volumes that carry all these labels; an empty value matches any."""

    def remove_volume(self, name: str) -> None:
        """Remove a volume, unless a container uses it, which is refused (EngineFailed)."""

    def execute(
        self, container: str, argv: Sequence[str], *, environment: Mapping[str, str], tty: bool
    ) -> Execution:
        """Run a command in a running container.

        Args:
            container: A name or an id.
            argv: The command.
            environment: Variables for it.
            tty: Whether it gets a terminal; then output and errors are one.
        """

    def shell(self, container: str, *, environment: Mapping[str, str], ephemeral: bool) -> Shell:
        """Open a shell in a running container.

        Raises:
            ShellLost: The container is ending.
        """

    def guard(self, identity: str) -> Guard:
        """Have the container with this ``pytest-ldb.id`` ended, should this process end.

        One that other processes may use already is left to the last of them.
        """
