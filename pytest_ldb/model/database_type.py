"""What is known about one database type, as data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .type_checks import PLACEHOLDER, check

Command = tuple[str, ...] | str
"""A tuple: a program and its arguments. A string: statements for the type's client."""


def render(template: str, values: Mapping[str, str]) -> str:
    """Fill the placeholders ``{user} {password} {database} {template} {host} {port}``.

    Some commands take ``{file}``, ``{mark}``, ``{thing}`` or ``{thing_hex}`` too. Other braces stay
    as they are, so that JavaScript and JSON need no escaping.
    """
    return PLACEHOLDER.sub(lambda match: values[match[1]], template)


def render_all(templates: Iterable[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """Fill the placeholders of several templates."""
    return tuple(render(template, values) for template in templates)


def render_values(templates: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Fill the placeholders in the values of a mapping."""
    return {name: render(template, values) for name, template in templates.items()}


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """Bytes to send to the published port, and what proves that the final server answers.

    Args:
        send: Sent as soon as the connection is open; empty where the server speaks first.
        ready: A pattern that the collected answer must match from its beginning.
    """

    send: bytes
    ready: bytes

    def proves(self, answer: bytes) -> bool:
        """Whether this answer comes from a server that is ready."""
        return re.match(self.ready, answer, re.DOTALL) is not None


@dataclass(frozen=True, kw_only=True)
class ServerProgram:
    """How the image runs its server.

    Args:
        user: The superuser that the image creates.
        initial_database: The database that the image creates and that init scripts fill.
        program: The program, set before arguments of ours where ``command`` names none.
        arguments: Arguments that it always gets, before those of ``command`` (template).
        tuning: Arguments that trade durability for speed; left out when data must be durable
            (template).
        credential_environment: Variables from which the image takes user, password and database
            (template).
        init_directory: Where the image looks for init scripts; empty where it runs none.
        data_paths: Where its data is, to be held in memory; empty: the image's volumes.
        cached: Whether initialising the data takes longer than copying it. Then the
            initialised data is cached, and the next server starts with it.
        numbered_databases: How many databases there are where they have numbers instead of names.
        longest_database_name: In bytes.
    """

    user: str = ""
    initial_database: str = ""
    program: str = ""
    arguments: tuple[str, ...] = ()
    tuning: tuple[str, ...] = ()
    credential_environment: Mapping[str, str] = field(default_factory=dict)
    init_directory: str = ""
    data_paths: tuple[str, ...] = ()
    cached: bool = False
    numbered_databases: int = 0
    longest_database_name: int = 63


@dataclass(frozen=True, kw_only=True)
class ClientProgram:
    """The clients, run beside the server, where ``{host}`` is ``localhost``.

    Args:
        argv: A program that takes statements from its standard input and writes nothing when they
            succeed (template). It is kept open, since starting it often takes longer than the
            statement. Its directory is ``$LDB_HOME``, which all shells of a server share.
        mark: The statement that makes it write a line that is ``{mark}``.
        terminal: The interactive client, for `pytest-ldb shell` (template); empty where there is
            none.
        environment: Variables that let the clients log in (template).
        profile: A line of POSIX shell run before the first command (sets ``PATH``).
    """

    argv: tuple[str, ...] = ()
    mark: str = ""
    terminal: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    profile: str = ""


@dataclass(frozen=True, kw_only=True)
class Operations:
    """How databases are created, copied and dropped.

    A tuple is a command, a string is statements for the client; empty where there is nothing to
    do. All are templates.

    Args:
        create: Creates ``{database}``; empty where the first write does. Where databases have
            numbers it is a command that ends with status 3 if this one is in use.
        clone: Creates ``{database}`` as a copy of ``{template}``; used where init scripts have
            filled the initial database, a setup has made a template, and for snapshots. Where
            databases have numbers it fills one that is empty.
        drop: Drops ``{database}``, if it is there.
        disconnect: Ends all connections to ``{database}``. What the client writes is given to it
            as statements in turn.
        load: Runs the statements in ``{file}`` on ``{database}``.
        leaves: A regular expression of what would make ``load`` go to another database, for files
            that are therefore refused; its group ``database`` says to which one.
        seal: Prepares ``{database}``, which does not change any more, to be cloned repeatedly.
        unseal: Undoes ``seal`` and ``export``.
        export: Writes the content of ``{database}`` to a file, where ``clone`` reads that; run by
            each process before it clones a database for the first time.
    """

    create: Command = ()
    clone: Command = ()
    drop: Command = ()
    disconnect: Command = ()
    load: Command = ()
    leaves: str = ""
    seal: Command = ()
    unseal: Command = ()
    export: Command = ()


@dataclass(frozen=True, kw_only=True)
class Reset:
    """How a used database is reset to its template, where that is faster than a new copy.

    Statements for the client (templates); empty where a copy is always made.

    Args:
        inspect: Writes a line for each thing in ``{database}``: its name, a tab, what it is and
            holds; at least one line. If the lines of two databases are equal, a test cannot tell
            them apart. A line without a tab is an error message; the database is not used again.
        survey: Writes further statements of ``inspect``, where these depend on what is in
            ``{template}``. They run as they are, after those of ``inspect``.
        repair: Makes ``{thing}`` in ``{database}`` what it is in ``{template}``. It may fail.
            ``{thing_hex}`` is the name in hexadecimal digits, which need no quotes.
        writes: Writes a line for each thing in ``{database}``: its name, a tab, and what changes
            whenever it is written to, such as a count of writes that the server keeps. Where it is
            declared, it says which things to repair; a change that ``inspect`` does not see (the
            order of what was deleted and inserted again) is undone too.
    """

    inspect: str = ""
    survey: str = ""
    repair: str = ""
    writes: str = ""


@dataclass(frozen=True, kw_only=True)
class LogFormat:
    """How to read the server's log, of which the reports of failing tests show a part.

    Args:
        entry: A pattern for the beginning of an entry, with the groups ``database``, which the
            entry is about, and ``time``, in UTC and as ISO 8601 has it, where it says so. Lines
            that do not match belong to the entry before them. Empty: every line is an entry.
        noise: A pattern for the beginning of entries that never say why a test failed.
    """

    entry: str = ""
    noise: str = ""


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """What tests receive. All are templates.

    Args:
        url: The address of a database; the values are percent-encoded.
        dialect: What SQLAlchemy calls it; empty where it does not support it.
        drivers: The keyword arguments with which each Python driver connects, by the name of the
            driver. ``"{port}"`` becomes a number, and so does ``"{database}"`` where databases have
            numbers; ``"{url}"`` is the whole address.
        env: Environment variables that other programs read.
    """

    url: str
    dialect: str = ""
    drivers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DatabaseType:
    """All that is known about one database type.

    What projects change is at the top; what follows from the image is in groups. Strings marked
    *template* may contain the placeholders of :func:`render`.

    Args:
        name: What tests call it; its fixture is ``ldb_<name>``.
        image: The reference of the image to run.
        port: The TCP port that the server listens on inside its container.
        ready: The exchange that proves that the server is ready.
        aliases: Other names that mean the same.
        command: What follows the image's entrypoint, as in ``docker run IMAGE …``: the server's
            program with its arguments, or arguments alone; empty for the image's own command
            (template).
        environment: Further variables for the container, as they are.
        init_scripts: Files that the image runs on its first start, in the order of their names.
        data_mib: The most that data held in memory may take; None leaves it to the engine (half
            of its memory, usually).
        memory_mib: The most memory that the container may take, data included; None: no limit.
        shm_mib: The size of ``/dev/shm``.
        addresses: What tests receive.
        server: How the image runs its server.
        client: The clients that run beside it.
        operations: How databases are created, copied and dropped.
        reset: How a used database is reset to its template.
        log: How its log is read.

    Raises:
        InvalidRequest: A part contradicts another, or could not work: see :mod:`.type_checks`.
    """

    name: str
    image: str
    port: int
    ready: Exchange
    aliases: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    init_scripts: tuple[Path, ...] = ()
    data_mib: int | None = None
    memory_mib: int | None = None
    shm_mib: int = 256

    addresses: Addresses
    server: ServerProgram = field(default_factory=ServerProgram)
    client: ClientProgram = field(default_factory=ClientProgram)
    operations: Operations = field(default_factory=Operations)
    reset: Reset = field(default_factory=Reset)
    log: LogFormat = field(default_factory=LogFormat)

    def __post_init__(self) -> None:
        check(self)
        # Paths may be given as strings. The instance is frozen, so it cannot be assigned to.
        object.__setattr__(self, "init_scripts", tuple(Path(path) for path in self.init_scripts))

    @property
    def names(self) -> tuple[str, ...]:
        """The name and the aliases."""
        return (self.name, *self.aliases)

    def answers_to(self, name: str) -> bool:
        """Whether ``name`` is this type's name or one of its aliases, in any case."""
        return name.lower() in self.names
