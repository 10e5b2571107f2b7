"""Conformance tests for engines and database types, also of third parties.

Subclass a contract in a test module, define what its docstring asks for, and run pytest.
"""

from __future__ import annotations

from .databases import DatabaseTypeContract
from .engines import EngineContract

__all__ = ["DatabaseTypeContract", "EngineContract"]
