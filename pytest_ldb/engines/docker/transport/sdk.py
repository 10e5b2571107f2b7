"""Engines at TCP, TLS, ssh and named pipes. The only file that imports the Docker SDK.

The SDK reads the files of the Docker client: contexts, certificates, registries' credentials. The
requests are our own, as over a Unix socket: the SDK's HTTP client sends some failed requests again,
and its connections cannot be hijacked in the same way for all of these.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from ....model.errors import InvalidRequest
from ....util.sockets import connect_to_host
from .connection import Connection, ProcessConnection, SocketConnection
from .http import PATIENCE_S, TIMEOUT_S, Transport
from .tls import TlsConnection

if TYPE_CHECKING:
    from docker.tls import TLSConfig

_SOCKS = "urllib3.contrib.socks"
PORT, TLS_PORT = 2375, 2376
"""The Docker client's defaults, where an address names no port."""

SSH_OPTIONS = ("-T", "-o", "ConnectTimeout=10")


def sdk_transport(url: str, patience_s: float = PATIENCE_S) -> Transport:
    """Return requests to the engine at ``tcp://``, ``https://``, ``ssh://`` or ``npipe://``.

    Raises:
        OSError: The address, or the Docker client's configuration for it, cannot be used.
    """
    with _sdk() as docker:
        configuration = docker.utils.config.load_general_config()
        headers = configuration.get("HttpHeaders") or {}
        if url.startswith("npipe:"):
            return Transport(partial(_dial_pipe, url.partition("://")[2]), headers, patience_s)
        if url.startswith("ssh:"):
            # Logging in may take a while.
            return Transport(partial(ProcessConnection, _ssh(urlsplit(url))), headers, TIMEOUT_S)
        parts = urlsplit(url if "://" in url else f"tcp://{url}")
        if parts.scheme not in ("tcp", "http", "https") or not parts.hostname:
            raise OSError(f"not the address of an engine: {url}")
        config = _tls_config(docker)
    encrypted = parts.scheme == "https" or (config is not None and parts.scheme == "tcp")
    port = parts.port or (TLS_PORT if encrypted else PORT)
    context = _tls_context(config) if encrypted else None
    dial = partial(_dial, parts.hostname, port, context, patience_s)
    return Transport(dial, headers, patience_s)


def registry_headers(repository: str) -> dict[str, str]:
    """Return the header with the user's credentials for a repository's registry, if there are any.

    Raises:
        OSError: They could not be read.
    """
    with _sdk() as docker:
        registry, _ = docker.auth.resolve_repository_name(repository)
        found = docker.auth.resolve_authconfig(docker.auth.load_config(), registry)
        return {"X-Registry-Auth": docker.auth.encode_header(found).decode()} if found else {}


def _tls_config(docker: Any) -> TLSConfig | None:
    """Return the certificates for the engine that ``engine_address`` names."""
    chosen = docker.utils.kwargs_from_env()
    if "base_url" not in chosen:
        chosen = {**docker.ContextAPI.kwargs_from_context(environment=os.environ), **chosen}
    config: TLSConfig | None = chosen.get("tls")
    return config


def _tls_context(config: TLSConfig | None) -> ssl.SSLContext:
    verify = config is None or bool(config.verify)
    context = ssl.create_default_context(cafile=config.ca_cert if config and verify else None)
    # Certificates that Docker's own client accepts need not pass Python's strict checks.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if config and config.cert:
        context.load_cert_chain(*config.cert)
    return context


def _dial(host: str, port: int, context: ssl.SSLContext | None, timeout_s: float) -> Connection:
    try:
        connected = connect_to_host(host, port, timeout_s)
    except TimeoutError as error:  # TimeoutError is for an engine that accepted the connection.
        raise ConnectionError(f"{host}:{port}: {error}") from error
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is None:
            return SocketConnection(connected)
        return TlsConnection(connected, context, host, timeout_s)
    except BaseException:
        connected.close()
        raise


def _dial_pipe(path: str) -> Connection:
    """Return a connection to a named pipe of Windows, which is used like a socket."""
    from docker.transport import NpipeSocket

    connected = NpipeSocket()
    connected.settimeout(int(TIMEOUT_S))
    connected.connect(path)
    return SocketConnection(connected)  # type: ignore[arg-type]


def _ssh(parts: SplitResult) -> list[str]:
    """Return the command that connects to an engine over ssh, as the Docker client does it."""
    user = ["-l", parts.username] if parts.username else []
    port = ["-p", str(parts.port)] if parts.port else []
    host = parts.hostname or ""
    return ["ssh", *SSH_OPTIONS, *user, *port, "--", host, "docker system dial-stdio"]


def _shadowed(error: Exception) -> InvalidRequest:
    found = list(getattr(sys.modules.get("docker"), "__path__", ()))
    evidence = f"`docker` is imported from {found[0]}" if found else str(error)
    return InvalidRequest(
        "docker",
        "the Docker SDK cannot be imported, perhaps as the project has a module of this name",
        evidence=evidence,
        remedy="Rename that module, or keep its folder out of `sys.path`. Images that the engine "
        "has already, on this machine, need no SDK.",
    )


@contextmanager
def _sdk() -> Iterator[Any]:
    """Import the SDK, and turn what it raises into OSError.

    Raises:
        InvalidRequest: A module of the project has its name, or that of a package that it needs.

    The import may run in a thread while a test runs. The SDK imports requests, which imports
    urllib3's support of SOCKS, which warns if PySocks is missing. requests hides that warning by a
    filter. But filters are global: if pytest sets those of a test at that moment, the warning is
    shown, and with ``filterwarnings = error`` it fails the import.
    """
    hidden = _SOCKS not in sys.modules and not find_spec("socks")
    if hidden:
        sys.modules[_SOCKS] = None  # type: ignore[assignment]
    try:
        import docker

        _ = docker.ContextAPI
    except (ImportError, AttributeError) as error:
        raise _shadowed(error) from error
    finally:
        if hidden:
            sys.modules.pop(_SOCKS, None)  # Another thread may have removed it.
    try:
        yield docker
    except (docker.errors.DockerException, Warning) as error:  # Warnings may be errors.
        raise OSError(str(error)) from error
