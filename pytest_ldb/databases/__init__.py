"""One declaration for each database type; their longer scripts are in ``scripts``."""

from collections.abc import Iterable

from ..model.database_type import DatabaseType
from ..model.type_checks import check_together
from .mongodb import MONGODB
from .mysql import MYSQL
from .postgres import POSTGRES
from .redis import REDIS

BUILTIN = (POSTGRES, MYSQL, MONGODB, REDIS)

__all__ = ["BUILTIN", "MONGODB", "MYSQL", "POSTGRES", "REDIS", "all_types"]


def all_types(added: Iterable[DatabaseType]) -> tuple[DatabaseType, ...]:
    """Return the built-in types and ``added``; one of the same name replaces a built-in type.

    Raises:
        InvalidRequest: Two types have a name or an alias in common.
    """
    types = {database_type.name: database_type for database_type in (*BUILTIN, *added)}
    check_together(types.values())
    return tuple(types.values())
