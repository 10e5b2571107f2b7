"""Conformance checks for engines and types of databases, ours and those of third parties.

Inherit from a contract in a test module, say what it is about, and run pytest. The classes say
what they need.
"""

from __future__ import annotations

from .databases import DatabaseTypeContract
from .engines import EngineContract

__all__ = ["DatabaseTypeContract", "EngineContract"]
