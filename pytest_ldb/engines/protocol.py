"""The interface of an engine, as the rest of the package uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..model.instance import Address
from ..shell.shell import Shell


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image that is on the engine.

    Args:
        id: Its digest; a tag may move, this does not.
        volumes: The paths that it declares as volumes: where its data goes.
        labels: Its labels; ours say which cache entry it belongs to.
        size_bytes: Its size, including the layers that it shares with other images.
        command: What follows its entrypoint in containers that name no command.
    """

    id: str
    volumes: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    size_bytes: int = 0
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class File:
    """The content of a file to place in a container, and whether it is a program."""

    content: bytes = field(repr=False)
    executable: bool = False


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """A container to create, every value final.

    Args:
        name: Unique on the engine.
        image: A reference or an id.
        command: What follows the image's entrypoint; empty for the image's own.
        environment: Variables, secrets included.
        labels: By these it is found again.
        port: The TCP port to publish, on an engine-chosen port of ``bind``.
        bind: An address of the engine's host.
        memory_volumes: Paths to hold in memory, each of at most ``data_mib`` MiB.
        memory_mib: The most memory that it may use.
        shm_mib: The size of ``/dev/shm``.
        auto_remove: Whether it disappears, with its anonymous volumes, when it ends.
        files: Files to place before it starts, by absolute path.
        host_port: The port of ``bind`` to publish on, instead of one that the engine chooses.
        volumes: The names of volumes to mount, by path; missing ones get the container's labels.
        lingers: Whether it stays when :meth:`Shell.stop_server` has stopped its server, until its
            last ephemeral shell ends, so that its files can be read.
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
    files: Mapping[str, File]
    host_port: int | None = None
    volumes: Mapping[str, str] = field(default_factory=dict)
    lingers: bool = False


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container, as the engine described it at one moment.

    Args:
        id: The engine's id.
        name: Its name, without the leading slash.
        labels: Its labels.
        image_id: The id of its image.
        state: The engine's word: created, running, paused, restarting, removing, exited, dead.
        exit_code: Of its last end; None if it has never ended.
        address: Where this process reaches its published port; None while it is not running.
        memory: The paths that it holds in memory.
        volumes: The names of its volumes, by path.
        configuration: The texts of its command and environment, secrets included.
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
    configuration: tuple[str, ...] = field(default=(), repr=False)


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
    """Evidence that is collected while a container runs: if it removes itself, its log is lost."""

    def ended(self, timeout_s: float) -> Exit | None:
        """Wait up to ``timeout_s`` for the container to end; None if it is still running."""

    def log(self, lines: int) -> str:
        """Return the last lines that the server wrote."""

    def close(self) -> None:
        """Stop watching; the container goes on."""


class Log(Protocol):
    """Lines that a server wrote, to its standard output and to its standard error."""

    def __iter__(self) -> Iterator[str]:
        """Yield the lines, without their ends; to be called once.

        It ends with the last line, or if the log is followed, with the container.
        """

    def close(self) -> None:
        """End it, also for a thread that is waiting for the next line."""


class Execution(Protocol):
    """A command that runs in a container, its standard streams at hand."""

    def send(self, data: bytes) -> None:
        """Send data to its standard input."""

    def end_input(self) -> None:
        """Close its standard input."""

    def receive(self, timeout_s: float) -> Sequence[tuple[int, bytes]]:
        """Return its output, with 1 for standard output and 2 for standard error; empty at the end.

        Raises:
            TimeoutError: It wrote nothing in time.
        """

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of its terminal."""

    def status(self) -> int:
        """Return its exit status, when it has ended."""

    def close(self) -> None:
        """Close the connection to it."""


class Guard(Protocol):
    """Ends a container when this process ends, however it ends, until it is released.

    Volumes that were made for the container are removed too.
    """

    def release(self) -> None:
        """End the guard: a shell holds the container now, or it has been removed."""


class Engine(Protocol):
    """Where servers run. Every method may be called again after it failed or was interrupted.

    All methods raise :class:`~.errors.EngineUnavailable` when the engine does not answer and
    :class:`~.errors.EngineFailed` for anything that is not named below. An engine can be pickled,
    for use in another process.

    Attributes:
        url: The address of the engine.
    """

    url: str

    def discards(self, directory: Path) -> bool:
        """Whether a directory of this process is removed together with the container it is in."""

    def bind(self, chosen: str | None) -> str:
        """Return the address to publish ports on: the one chosen, else this machine's loopback.

        Raises:
            InvalidRequest: The engine is on another machine, and no address was chosen.
        """

    def image(self, reference: str, *, pull: str, say: Callable[[str], None]) -> Image:
        """Return an image, pulled if ``pull`` (``missing``, ``always``, ``never``) says so.

        Raises:
            ImageUnavailable: It is not on the engine and could not, or must not, be pulled.
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
            PortTaken: The port that it is to be published on is already in use.
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
        """Return the log of a container, whether it is running or not.

        Args:
            container: Its name or id.
            follow: Whether to go on with the lines that it writes from now on.
            tail: How many of the existing lines to return; None: all.
            since: A moment, in seconds since 1970 by the engine's clock; lines before it are
                left out.
        """

    def stop(self, container: str) -> None:
        """Stop a container the way its image asks for; after 10 s it is killed."""

    def unpause(self, container: str) -> None:
        """Unpause a container, if it is paused."""

    def remove(self, container: str) -> None:
        """Remove a container and its anonymous volumes, running or not."""

    def remember(
        self, container: str, paths: Sequence[str], labels: Mapping[str, str], tag: str
    ) -> str:
        """Make an image of the content of some directories of a container, and return its id.

        The image is that of the container, plus the content. Its containers have the content at
        those paths when their command starts, even if the paths are held in memory.

        Args:
            container: One whose server has ended, which held none of the paths in memory.
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
        """End the container with this ``pytest-ldb.id`` if this process ends.

        A container that other processes use already is left to the last of them.
        """
