"""What the engine says of containers and images (Docker Engine API, "Inspect"), in our words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...model.instance import Address
from ..protocol import Container, Image
from .transport.endpoint import Endpoint


def container_of(data: Mapping[str, Any], endpoint: Endpoint, *, networked: bool) -> Container:
    """Return what the engine says of a container.

    Args:
        data: The engine's answer.
        endpoint: Where the engine is.
        networked: Whether this process is in a container beside that one.
    """
    state = data["State"]
    ended = not state["FinishedAt"].startswith("0001-")
    return Container(
        id=data["Id"],
        name=data["Name"].lstrip("/"),
        labels=data["Config"]["Labels"] or {},
        image_id=data["Image"],
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
    )


def image_of(data: Mapping[str, Any]) -> Image:
    """Return what the engine says of an image ("Inspect an image")."""
    config = data["Config"]
    return Image(
        id=data["Id"],
        volumes=tuple(sorted(config.get("Volumes") or ())),
        labels=config.get("Labels") or {},
        size_bytes=data.get("Size", 0),
    )


def short(subject: str) -> str:
    """Return an engine's id as people write it; names stay as they are."""
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
