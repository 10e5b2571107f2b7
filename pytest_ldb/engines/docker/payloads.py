"""What is sent to the engine to create containers and to run commands in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ...shell.script_files import lease_script, script
from .transport.connection import Connection
from .transport.http import Transport

if TYPE_CHECKING:
    # The first shell, opened while pytest starts, would wait for this import.
    from ..protocol import ContainerSpec

HOME = "/dev/shm/ldb"  # noqa: S108 - inside the container, for its shells

USER = "0"
"""Commands run as root, as a shell must be able to switch the server off."""


@dataclass(frozen=True)
class Command:
    """A command to run in a container, with its standard streams attached, as ``USER``.

    Args:
        argv: The command.
        environment: Variables for it.
        tty: Whether it gets a terminal.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    tty: bool = False


def shell_command(environment: Mapping[str, str], *, ephemeral: bool) -> Command:
    """Return the command of a shell; see ``Engine.shell``."""
    fixed = {"LDB_HOME": HOME, "LDB_EPHEMERAL": "1" if ephemeral else ""}
    return Command(("sh", "-c", lease_script()), {**environment, **fixed})


def creation(spec: ContainerSpec, network: str | None = None) -> dict[str, Any]:
    """Return what to send to have a container created ("Create a container").

    Args:
        spec: The container.
        network: The network for it to join; None for the engine's default.
    """
    port, size = f"{spec.port}/tcp", f"size={spec.data_mib}m" if spec.data_mib else ""
    # If a volume was removed since it was created, the engine creates it again with these labels.
    labels = {"Labels": dict(spec.labels)}
    host = {
        "AutoRemove": spec.auto_remove,
        "PortBindings": {port: [{"HostIp": spec.bind, "HostPort": str(spec.host_port or "")}]},
        "ShmSize": spec.shm_mib << 20,
        "Tmpfs": dict.fromkeys(spec.memory_volumes, size),
        "Mounts": [
            {"Type": "volume", "Source": name, "Target": path, "VolumeOptions": labels}
            for path, name in spec.volumes.items()
        ],
    }
    if network:
        host["NetworkMode"] = network
    if spec.memory_mib:
        # Swap would hide that the memory is used up.
        host |= dict.fromkeys(("Memory", "MemorySwap"), spec.memory_mib << 20)
    return {
        "Image": spec.image,
        "Cmd": list(spec.command) or None,
        "Env": _lines(spec.environment),
        "Labels": dict(spec.labels),
        "ExposedPorts": {port: {}},
        "HostConfig": host,
    }


def lingering(content: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to send for a container that lingers, given the configuration of its image."""
    signal = config.get("StopSignal") or "TERM"
    command = [*(config.get("Entrypoint") or ()), *(content["Cmd"] or config.get("Cmd") or ())]
    return {
        **content,
        "Env": [*content["Env"], f"LDB_HOME={HOME}"],
        "Entrypoint": ["sh", "-c", script("linger"), "sh", signal.removeprefix("SIG"), *command],
        "Cmd": [],
    }


def begin(transport: Transport, container: str, command: Command) -> tuple[str, Connection]:
    """Start a command in a container ("Exec" in the Docker Engine API).

    Returns:
        The engine's id of it, and a connection to its standard streams.

    Raises:
        Refused: The engine refused.
        OSError: The engine cannot be reached.
    """
    content = {
        "Cmd": list(command.argv),
        "Env": _lines(command.environment),
        "User": USER,
        "Tty": command.tty,
        **dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr"), True),
    }
    made = transport.request("POST", f"/containers/{quote(container)}/exec", content)
    identity = str(made["Id"])
    how = {"Detach": False, "Tty": command.tty}
    return identity, transport.hijack(f"/exec/{identity}/start", how)


def _lines(environment: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in environment.items()]
