"""What containers of ours and the shells in them are, however the engine is asked for them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ...shell.script_files import lease_script
from .transport.http import ask, take_over

if TYPE_CHECKING:
    # It brings much along, which the first shell would wait for.
    from ..protocol import ContainerSpec

HOME = "/dev/shm/ldb"  # noqa: S108 - inside the container, for its shells
USER = "0"


@dataclass(frozen=True)
class ShellCommand:
    """A command to execute in a container, with standard input attached, as ``USER``."""

    arguments: list[str]
    environment: dict[str, str]

    @classmethod
    def of(cls, environment: Mapping[str, str], *, ephemeral: bool) -> ShellCommand:
        """Return the command; see ``Engine.shell``."""
        fixed = {"LDB_HOME": HOME, "LDB_EPHEMERAL": "1" if ephemeral else ""}
        return cls(["sh", "-c", lease_script()], {**environment, **fixed})


def creation(spec: ContainerSpec, network: str | None = None) -> dict[str, Any]:
    """Return what to send to have a container created ("Create a container").

    Args:
        spec: The container.
        network: The network for it to join; None for the engine's own.
    """
    port, size = f"{spec.port}/tcp", f"size={spec.data_mib}m" if spec.data_mib else ""
    # A volume may be removed, as its creator was interrupted, just before the engine gets this.
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
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "Labels": dict(spec.labels),
        "ExposedPorts": {port: {}},
        "HostConfig": host,
    }


def execute(path: str, container: str, command: ShellCommand) -> socket.socket | None:
    """Begin a command in a container ("Exec" in the Docker Engine API).

    Args:
        path: The engine's socket.
        container: A name or an id.
        command: What to begin.

    Returns:
        Its standard streams; None if anything is in the way.
    """
    content = {
        "Cmd": command.arguments,
        "Env": [f"{name}={value}" for name, value in command.environment.items()],
        "User": USER,
        **dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr"), True),
    }
    try:
        made = ask(path, "POST", f"/containers/{quote(container)}/exec", content)
        if not made.is_fine:
            return None
        return take_over(path, f"/exec/{made.body['Id']}/start", {"Detach": False})
    except OSError:
        return None
