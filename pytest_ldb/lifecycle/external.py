"""Servers that exist already: nothing is started; databases are created and dropped on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import SplitResult, unquote, urlsplit
from uuid import NAMESPACE_URL, uuid5

from ..model.database_type import DatabaseType, render_values
from ..model.errors import CommandFailed, InvalidRequest
from ..model.instance import Address, Credentials, Instance, InstanceStatus
from ..shell.shell import Shell
from ..util import clock
from ..util.env import variable_for
from .lease import Lease


def external_lease(
    database_type: DatabaseType, url: str, open_shell: Callable[[str, Mapping[str, str]], Shell]
) -> Lease:
    """Return a lease on the server at ``url``.

    Args:
        database_type: What runs there.
        url: Its address and credentials. The database that it names is not touched.
        open_shell: Opens a shell on this machine, given a name and an environment.

    Raises:
        InvalidRequest: The URL cannot be understood.
    """
    parts = _split(database_type, url)
    instance = _instance(database_type, parts)
    values = {
        "user": instance.credentials.user,
        "password": instance.credentials.password,
        "host": parts.hostname or "",
        "port": str(parts.port or database_type.port),
        "database": database_type.server.initial_database,
        "template": database_type.server.initial_database,
    }
    templates = {**database_type.addresses.env, **database_type.client.environment}
    shell = open_shell(instance.name, render_values(templates, values))
    _check_client(database_type, shell)
    addresses = replace(database_type.addresses, url=_template(database_type, parts))
    return Lease(
        instance=instance,
        database_type=replace(database_type, addresses=addresses),
        shell=shell,
        values=values,
        outlives_run=True,
        origin="external",
        fingerprint=str(instance.id),
    )


def _check_client(database_type: DatabaseType, shell: Shell) -> None:
    """Check that the client is installed: without it, databases could not be dropped at the end."""
    drop = database_type.operations.drop
    program = database_type.client.argv[:1] if isinstance(drop, str) else drop[:1]
    if not program:
        return
    try:
        shell.run(["command", "-v", *program])
    except CommandFailed:
        shell.close()
        raise InvalidRequest(
            variable_for("URL", database_type.name),
            f"databases on an existing server need `{program[0]}`, which is not installed here",
            remedy=f"Install the client programs of {database_type.name} on this machine.",
        ) from None


def _split(database_type: DatabaseType, url: str) -> SplitResult:
    variable = variable_for("URL", database_type.name)
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or not parts.scheme:
        raise InvalidRequest(
            variable,
            "its value is not the URL of a server",
            remedy=f"Write it like {database_type.addresses.url.format_map(_Example())}",
        )
    return parts


def _instance(database_type: DatabaseType, parts: SplitResult) -> Instance:
    host, port = parts.hostname or "", parts.port or database_type.port
    return Instance(
        id=uuid5(NAMESPACE_URL, f"{database_type.name}://{host}:{port}"),
        name=f"{database_type.name} at {host}:{port}",
        database_type=database_type.name,
        image="",
        credentials=Credentials(
            unquote(parts.username or "") or database_type.server.user,
            unquote(parts.password or ""),
        ),
        created_at=clock.now(),
        address=Address(host, port),
        status=InstanceStatus.RUNNING,
    )


def _template(database_type: DatabaseType, parts: SplitResult) -> str:
    """Return the type's URL with the scheme, the query and the absence of credentials as given."""
    declared = urlsplit(database_type.addresses.url.replace("{", "").replace("}", ""))
    query = parts.query or (declared.query if parts.password else "")
    login = "{user}:{password}@" if parts.password else "{user}@" if parts.username else ""
    address = f"{parts.scheme}://{login}{{host}}:{{port}}/{{database}}"
    return f"{address}?{query}" if query else address


class _Example(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return name.upper()
