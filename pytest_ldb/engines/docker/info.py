"""What an engine says of itself ("Get version", "Get system information")."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .transport.endpoint import Endpoint


@dataclass(frozen=True, kw_only=True)
class About:
    """An engine.

    Args:
        url: Its address.
        chosen_by: What named that address.
        product: ``Docker`` or ``Podman``.
        version: Its version.
        api: The version of the API that it speaks.
        system: What it runs on.
        storage: What holds its images and containers.
        rootless: Whether it runs as a user like any other.
        local: Whether it runs on this machine.
        cpus: How many it has.
        memory_bytes: How much it has.
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
    """Return what an engine's two answers say."""
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


def _chosen_by() -> str:
    if os.environ.get("DOCKER_HOST"):
        return "DOCKER_HOST"
    if os.environ.get("DOCKER_CONTEXT"):
        return f"DOCKER_CONTEXT, {os.environ['DOCKER_CONTEXT']}"
    return "the current Docker context"
