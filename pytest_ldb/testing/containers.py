"""Create containers for tests."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from ..databases import REDIS
from ..engines.protocol import Container, ContainerSpec, Engine, Watch
from ..lifecycle.readiness import wait_until_ready
from ..model.request import LABEL
from .processes import wait_until

BATCH = "pytest-ldb-contract.batch"
"""The label of all containers of one test class."""

ENDS_S = 10.0
"""Maximum time until the end of a container is noticed."""


@dataclass
class Containers:
    """Creates containers of one image, which are removed after the tests of the class."""

    engine: Engine
    image: str
    batch: str = field(default_factory=lambda: uuid.uuid4().hex)

    def spec(self, **changes: Any) -> ContainerSpec:
        """Return the default specification of a container with these changes."""
        values: dict[str, Any] = {
            "name": f"ldb-contract-{uuid.uuid4().hex[:12]}",
            "image": self.image,
            "command": (),
            "environment": {},
            "labels": {},
            "port": REDIS.port,
            "bind": self.engine.bind(None),
            "memory_volumes": (),
            "data_mib": None,
            "memory_mib": None,
            "shm_mib": 64,
            "auto_remove": False,
            "files": {},
            **changes,
        }
        labels = {f"{LABEL}id": uuid.uuid4().hex, BATCH: self.batch}
        values["labels"] = {**labels, **values["labels"]}
        return ContainerSpec(**values)

    def create(self, **changes: Any) -> str:
        """Create a container and return its id."""
        return self.engine.create(self.spec(**changes))

    def start(self, **changes: Any) -> tuple[str, Watch]:
        """Create and start a container; return its id and a watch."""
        identity = self.create(**changes)
        return identity, self.engine.start(identity)

    def serve(self, **changes: Any) -> Container:
        """Start a container and return it when its server is ready."""
        identity, watch = self.start(**changes)
        self.wait_for(identity, watch)
        return self.existing(identity)

    def run(self, script: str, **changes: Any) -> tuple[str, Watch]:
        """Start a container that runs a script instead of the server."""
        return self.start(command=("sh", "-c", script), **changes)

    def wait_for(self, identity: str, watch: Watch) -> None:
        """Wait until the server is ready."""
        address = self.existing(identity).address
        wait_until_ready("contract", address, REDIS.ready, watch, timeout_s=30.0)
        watch.close()

    def existing(self, identity: str) -> Container:
        """Return a container, which must exist."""
        container = self.engine.find(identity)
        assert container is not None
        return container

    def wait_until_gone(self, identity: str, timeout_s: float = ENDS_S) -> None:
        """Wait until the container has been removed; fail after the timeout."""
        wait_until(lambda: self.engine.find(identity) is None, timeout_s, "it is still there")

    def close(self) -> None:
        """Remove all containers."""
        for container in self.engine.containers({BATCH: self.batch}):
            self.engine.remove(container.id)
