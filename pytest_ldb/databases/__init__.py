"""One declaration for each database."""

from .mongodb import MONGODB
from .mysql import MYSQL
from .postgres import POSTGRES
from .redis import REDIS

BUILTIN = (POSTGRES, MYSQL, MONGODB, REDIS)

__all__ = ["BUILTIN", "MONGODB", "MYSQL", "POSTGRES", "REDIS"]
