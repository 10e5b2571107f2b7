"""What the user decided, parsed once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

_NONE: Mapping[str, str] = MappingProxyType({})


class Settings(NamedTuple):
    """What the user decided.

    Not a dataclass: every run imports this, and defining one takes longer.

    Args:
        keep: Whether servers outlive the run.
        keep_failed: Whether servers outlive the run on which a test failed.
        recreate: Whether kept servers of earlier runs are replaced.
        images: References that replace the declared ones, by type.
        image_prefix: Set before references that name no registry.
        pull: ``missing``, ``always`` or ``never``.
        timeout_s: The most time that a server may take to become ready.
        no_engine: What happens to tests when no engine is available: ``error`` or ``skip``.
        cache: ``auto``, ``always`` or ``never``, see :class:`~.cache.ServerCache`.
        durable: Whether data is on disk and safe against crashes, instead of fast.
        bind: The engine's address to publish ports on; None: loopback.
        report: The file to write what the run used to; empty for none.
        urls: URLs of servers that exist already, by type; for these types nothing is started.
    """

    keep: bool = False
    keep_failed: bool = False
    recreate: bool = False
    images: Mapping[str, str] = _NONE
    image_prefix: str = ""
    pull: str = "missing"
    timeout_s: float = 60.0
    no_engine: str = "error"
    cache: str = "auto"
    durable: bool = False
    bind: str | None = None
    report: str = ""
    urls: Mapping[str, str] = _NONE

    def __repr__(self) -> str:
        """Leave out the URLs, which may hold passwords."""
        return (
            f"Settings({', '.join(f'{n}={v!r}' for n, v in self._asdict().items() if n != 'urls')})"
        )

    def image_for(self, name: str, declared: str) -> str:
        """Return the reference to run for a type."""
        reference = self.images.get(name, declared)
        # A registry has a dot or a port, or is localhost (Docker reference, "docker image tag").
        registry, slash, _ = reference.partition("/")
        qualified = slash and ("." in registry or ":" in registry or registry == "localhost")
        if qualified or not self.image_prefix:
            return reference
        return f"{self.image_prefix.rstrip('/')}/{reference}"
