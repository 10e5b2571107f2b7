"""Translation of the engine's answers about itself, containers and images into our values."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...model.instance import Address
from ..protocol import Container, Image
from .transport.endpoint import Endpoint


@dataclass(frozen=True, kw_only=True)
class About:
    """An engine.

    Args:
        url: Its address.
        chosen_by: The variable or context that names that address.
        product: ``Docker`` or ``Podman``.
        version: Its version.
        api: The version of the API that it speaks.
        system: The operating system that it runs on.
        storage: Its storage driver.
        rootless: Whether it runs without root privileges.
        local: Whether it runs on this machine.
        cpus: The count of its processors.
        memory_bytes: The size of its memory.
    """

    url: str
    chosen_by: str
    product: str
    version: str
    api: str
    system: str
    storage: str
    rootless: bool
    local: bool
    cpus: int
    memory_bytes: int


def about(endpoint: Endpoint, version: Mapping[str, Any], info: Mapping[str, Any]) -> About:
    """Return an engine, given two of its answers ("Get version", "Get system information")."""
    components = [part.get("Name", "") for part in version.get("Components") or ()]
    podman = any("podman" in name.lower() for name in components)
    return About(
        url=endpoint.url,
        chosen_by=_chosen_by(),
        product="Podman" if podman else "Docker",
        version=version.get("Version", ""),
        api=version.get("ApiVersion", ""),
        system=f"{info.get('OperatingSystem', '')}, {version.get('Os')}/{version.get('Arch')}",
        storage=info.get("Driver", ""),
        rootless=any("rootless" in option for option in info.get("SecurityOptions") or ()),
        local=endpoint.is_local,
        cpus=info.get("NCPU", 0),
        memory_bytes=info.get("MemTotal", 0),
    )


@dataclass(frozen=True)
class OwnContainer:
    """The container that this process is in, if it is one of the engine.

    Args:
        network: The network for new containers to join; None for the engine's default. From inside
            a container, ports published on the host's loopback cannot be reached, but a container
            on the same network can.
        is_removed_at_end: Whether the engine removes it when it ends (`docker run --rm`).
    """

    network: str | None = None
    is_removed_at_end: bool = False

    @classmethod
    def of(cls, name: str, data: Any) -> OwnContainer:
        """Return the container, given what the engine has under its id, or the id's first digits.

        The engine also finds containers by name, and a host name may be that of another one.
        """
        if not data or not data.get("Id", name).startswith(name):
            return cls()
        networks = data["NetworkSettings"]["Networks"] or ()
        network = next((network for network in networks if network not in ("host", "none")), None)
        return cls(network, bool(data.get("HostConfig", {}).get("AutoRemove")))


def is_on_root(directory: Path) -> bool:
    """Whether a directory, which need not exist, is on the file system of the root directory."""
    there = next(path for path in (directory, *directory.parents) if path.exists())
    return there.stat().st_dev == Path("/").stat().st_dev


def container_of(data: Mapping[str, Any], endpoint: Endpoint, *, networked: bool) -> Container:
    """Return a container, given the engine's answer ("Inspect a container").

    Args:
        data: The engine's answer.
        endpoint: Where the engine is.
        networked: Whether this process is in a container on the same network.
    """
    state = data["State"]
    # The zero time of Go: it has never ended.
    ended = not state["FinishedAt"].startswith("0001-")
    return Container(
        id=data["Id"],
        name=data["Name"].lstrip("/"),
        labels=data["Config"]["Labels"] or {},
        image_id=image_id(data["Image"]),
        state=state["Status"],
        exit_code=state["ExitCode"] if ended else None,
        address=_address(data["NetworkSettings"], endpoint, networked=networked)
        if state["Running"]
        else None,
        memory=tuple(data["HostConfig"].get("Tmpfs") or ()),
        volumes={
            mount["Destination"]: mount["Name"]
            for mount in data.get("Mounts") or ()
            if mount["Type"] == "volume"
        },
        configuration=(
            *(data["Config"].get("Cmd") or ()),
            *(data["Config"].get("Env") or ()),
        ),
    )


def image_of(data: Mapping[str, Any]) -> Image:
    """Return an image, given the engine's answer ("Inspect an image")."""
    config = data["Config"]
    return Image(
        id=image_id(data["Id"]),
        volumes=tuple(sorted(config.get("Volumes") or ())),
        labels=config.get("Labels") or {},
        size_bytes=data.get("Size", 0),
        command=tuple(config.get("Cmd") or ()),
    )


def image_id(identity: str) -> str:
    """Return the id of an image with its algorithm, which Podman sometimes leaves out."""
    return f"sha256:{identity}" if re.fullmatch("[0-9a-f]{64}", identity) else identity


def short(subject: str) -> str:
    """Return the 12 digits of an id that Docker shows; names stay as they are."""
    return subject[:12] if re.fullmatch("[0-9a-f]{64}", subject) else subject


def _address(network: Mapping[str, Any], endpoint: Endpoint, *, networked: bool) -> Address | None:
    for port, bindings in sorted((network["Ports"] or {}).items()):
        if bindings and not networked:
            host = endpoint.reached_at(bindings[0]["HostIp"])
            return Address(host, int(bindings[0]["HostPort"]))
        if bindings:
            addresses = [neighbour["IPAddress"] for neighbour in network["Networks"].values()]
            return Address(addresses[0], int(port.partition("/")[0]))
    return None


def _chosen_by() -> str:
    if os.environ.get("DOCKER_HOST"):
        return "DOCKER_HOST"
    if os.environ.get("DOCKER_CONTEXT"):
        return f"DOCKER_CONTEXT, {os.environ['DOCKER_CONTEXT']}"
    return "the current Docker context"
