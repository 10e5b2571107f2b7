"""What is known about one kind of database, as data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import InvalidRequest

TUPLES = (
    *("command", "arguments", "tuning", "init_scripts", "data_paths", "aliases", "client"),
    "terminal",
)

_PLACEHOLDER = re.compile(r"\{(user|password|database|template|host|port|file|mark|thing)\}")

Command = tuple[str, ...] | str
"""A tuple: a program and its arguments. A string: statements for the type's ``client``."""


def render(template: str, values: Mapping[str, str]) -> str:
    """Fill the placeholders ``{user} {password} {database} {template} {host} {port}``.

    And, where they mean something, ``{file} {mark} {thing}``.
    Other braces stay as they are, so that JavaScript and JSON need no escaping.
    """
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


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
        """Whether these are the words of a server that is ready."""
        return re.match(self.ready, answer, re.DOTALL) is not None


@dataclass(frozen=True, kw_only=True)
class DatabaseType:
    """Everything known about one kind of database.

    Strings marked *template* may contain the placeholders of :func:`render`.

    The server:
        name: What tests call it; its fixture is ``ldb_<name>``.
        aliases: Other names that mean the same.
        image: The reference of the image to run.
        port: The TCP port that the server listens on inside its container.
        ready: The exchange that proves that the server is ready.
        user: The superuser that the image creates.
        initial_database: The database that the image creates and that init scripts fill.
        command: What follows the image's entrypoint, as in ``docker run IMAGE …``: the server's
            program with its arguments, or arguments alone; empty for the image's own command.
        program: The server's program, set before arguments of ours where ``command`` names none.
        tuning: Arguments that trade durability for speed; left out when data must be durable.
        arguments: Arguments that it always gets, before those of ``command`` (template).
        credential_environment: Variables that tell the image user, password and database
            (template).
        environment: Further variables, as they are.
        init_scripts: Files that the image runs on its first start, in the order of their names.
        init_directory: Where the image looks for them.
        data_paths: Where its data is, to be held in memory; empty: the image's volumes.
        cached: Whether initialising the data takes longer than copying it. Then an initialised
            server is remembered, and the next one is made from that.
        data_mib: The most that data held in memory may take; None leaves it to the engine (half
            of its memory, usually).
        memory_mib: The most memory that the container may take, data included; None: no limit.
        shm_mib: The size of ``/dev/shm``.

    Its log, of which the reports of failing tests show a part:
        log_entry: A pattern for the beginning of an entry, with the groups ``database``, which the
            entry is about, and ``time``, in UTC and as ISO 8601 has it, where it says so. Lines
            that do not match belong to the entry before them. Empty: every line is an entry.
        log_noise: A pattern for the beginning of entries that never tell why a test failed.

    Its clients, run inside the container, where ``{host}`` is ``localhost``:
        client_profile: A line of POSIX shell run before the first command (sets ``PATH``).
        client_environment: Variables that let the clients log in (template).
        client: A program that takes statements from its standard input and writes nothing when
            they succeed. It is kept open, since starting it often takes longer than the statement.
            Its directory is ``$LDB_HOME``, which all shells of a server share.
        terminal: The client that people use, for `pytest-ldb shell`; empty where there is none.
        client_mark: The statement that makes it write a line that is ``{mark}``.

    What is done to databases: a tuple is a command, a string is statements for ``client``, on one
    line; empty where there is nothing to do.
        create: Creates ``{database}``; empty where the first write does. Where databases have
            numbers it is a command that ends with status 3 if this one is in use by somebody.
        clone: Creates ``{database}`` as a copy of ``{template}``; used where init scripts have
            filled the initial database, a setup has made a template, and for snapshots. Where
            databases have numbers it fills one that is empty.
        drop: Drops ``{database}``, if it is there.
        disconnect: Ends all connections to ``{database}``. What ``client`` writes is given to it
            as statements in turn.
        load: Runs the statements in ``{file}`` on ``{database}``.
        seal: Makes ``{database}``, which nobody uses any more, ready to be cloned again and again.
        unseal: Undoes ``seal`` and ``export``.
        export: Writes down what ``{database}`` holds, where copies are made from that; each process
            does it before it clones a database for the first time.

    Putting a used database back, where that is faster than a copy; for ``client``, empty where a
    copy is always made:
        inspect: Writes a line for each thing in ``{database}``: its name, a tab, what it is and
            holds. Databases for which the lines are the same are the same for a test.
        survey: Writes the statements of ``inspect``, where these depend on what is in
            ``{database}``, which is the template.
        repair: Makes ``{thing}`` in ``{database}`` what it is in ``{template}``. It may fail.

    Names:
        numbered_databases: How many databases there are where they have numbers instead of names.
        longest_database_name: In bytes.

    What tests receive:
        url: The address of a database (template; the values are percent-encoded).
        dialect: What SQLAlchemy calls it; empty where it does not support it.
        driver_keywords: Keyword arguments of the usual Python drivers (template).
        libpq_keywords: The same for libpq (template); empty where the protocol is another.
        variables: Environment variables that other programs read (template).
    """

    name: str
    image: str
    port: int
    ready: Exchange
    user: str
    aliases: tuple[str, ...] = ()
    initial_database: str = ""
    command: tuple[str, ...] = ()
    program: str = ""
    tuning: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    credential_environment: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    init_scripts: tuple[Path, ...] = ()
    init_directory: str = ""
    data_paths: tuple[str, ...] = ()
    cached: bool = False
    data_mib: int | None = None
    memory_mib: int | None = None
    shm_mib: int = 256

    log_entry: str = ""
    log_noise: str = ""

    client_profile: str = ""
    client_environment: Mapping[str, str] = field(default_factory=dict)
    client: tuple[str, ...] = ()
    client_mark: str = ""
    terminal: tuple[str, ...] = ()
    create: Command = ()
    clone: Command = ()
    drop: Command = ()
    disconnect: Command = ()
    load: Command = ()
    seal: Command = ()
    unseal: Command = ()
    export: Command = ()
    inspect: str = ""
    survey: str = ""
    repair: str = ""
    numbered_databases: int = 0
    longest_database_name: int = 63

    url: str
    dialect: str = ""
    driver_keywords: Mapping[str, str] = field(default_factory=dict)
    libpq_keywords: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch("[a-z][a-z0-9_]*", self.name):
            raise self._invalid("its name must be lower-case letters, digits and underscores")
        for name in TUPLES:
            if isinstance(getattr(self, name), (str, Path)):
                raise self._invalid(f"{name} must be a tuple, with a comma if it has one part")
        for name in ("create", "clone", "drop", "disconnect", "load", "seal", "unseal", "export"):
            if isinstance(getattr(self, name), str) and not (self.client and self.client_mark):
                raise self._invalid(
                    f"{name} is a string, which is for a client, and there is no client with a mark"
                )
        scripts = tuple(Path(script) for script in self.init_scripts)
        names = [script.name for script in scripts]
        for name in names:
            if names.count(name) > 1:
                raise self._invalid(f"two init scripts are called {name}")
        if scripts and not self.init_directory:
            raise self._invalid("its image runs no init scripts, as init_directory is not set")
        object.__setattr__(self, "init_scripts", scripts)

    def _invalid(self, fact: str) -> InvalidRequest:
        return InvalidRequest(f"DatabaseType {self.name!r}", fact)

    def answers_to(self, name: str) -> bool:
        """Whether ``name`` is this type's name or one of its aliases, in any case."""
        return name.lower() in (self.name, *self.aliases)
