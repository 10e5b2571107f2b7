"""One declaration for each database."""

from collections.abc import Iterable

from ..model.database_type import DatabaseType
from .mongodb import MONGODB
from .mysql import MYSQL
from .postgres import POSTGRES
from .redis import REDIS

BUILTIN = (POSTGRES, MYSQL, MONGODB, REDIS)

__all__ = ["BUILTIN", "MONGODB", "MYSQL", "POSTGRES", "REDIS", "all_types"]


def all_types(added: Iterable[DatabaseType]) -> tuple[DatabaseType, ...]:
    """Return ours and those that somebody adds, which replace ours of the same name."""
    return tuple(
        {database_type.name: database_type for database_type in (*BUILTIN, *added)}.values()
    )
