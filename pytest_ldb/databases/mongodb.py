"""MongoDB."""

import struct

from ..model.database_type import (
    Addresses,
    ClientProgram,
    DatabaseType,
    Exchange,
    LogFormat,
    Operations,
    Reset,
    ServerProgram,
)
from .scripts import script

# `{hello: 1, $db: "admin"}` as OP_MSG (MongoDB wire protocol, opcode 2013): header, flags, one
# section of payload type 0. The server answers it without a login. `ok: 1.0` ends the answer of a
# server that takes commands; while the image initialises itself it listens on loopback only.
_HELLO = b"\x10hello\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0"
_DOCUMENT = struct.pack("<i", 4 + len(_HELLO)) + _HELLO
_MESSAGE = struct.pack("<iiii", 16 + 5 + len(_DOCUMENT), 1, 0, 2013) + b"\0\0\0\0\0" + _DOCUMENT
_OK = rb".*\x01ok\x00\x00\x00\x00\x00\x00\x00\xf0\x3f"

_CONNECT = script("mongodb_connect.js")
_USE = 'db = server.getDB("{database}"); '
_SHELL = ("mongosh", "--quiet", "--norc", "--nodb", "--eval")
_URL = "mongodb://{user}:{password}@{host}:{port}/{database}?authSource=admin"

MONGODB = DatabaseType(
    name="mongodb",
    aliases=("mongo",),
    image="mongo:8",
    port=27017,
    ready=Exchange(send=_MESSAGE, ready=_OK),
    server=ServerProgram(
        user="root",
        initial_database="ldb",
        program="mongod",
        tuning=(
            # The least that it takes; the default is half of the machine's memory.
            *("--wiredTigerCacheSizeGB", "0.25"),
            # Otherwise it writes statistics into its data every second.
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            # Otherwise its journal takes 300 MB, in files of 100. A change must fit into one file,
            # and a document has at most 16 MB.
            *("--wiredTigerEngineConfigString", "log=(file_max=32MB,prealloc=false)"),
        ),
        credential_environment={
            "MONGO_INITDB_ROOT_USERNAME": "{user}",
            "MONGO_INITDB_ROOT_PASSWORD": "{password}",
            "MONGO_INITDB_DATABASE": "{database}",
        },
        init_directory="/docker-entrypoint-initdb.d",
        cached=True,
    ),
    client=ClientProgram(
        argv=(*_SHELL, _CONNECT + script("mongodb_client.js")),
        mark="mark {mark}",
        terminal=("sh", "-c", script("mongodb_terminal.sh"), "sh", f"{_CONNECT}{_USE}undefined"),
        environment={"LDB_USER": "{user}", "LDB_PASSWORD": "{password}"},
    ),
    operations=Operations(
        # The first write creates a database.
        create=(),
        clone="clone {template} {database}",
        drop="drop {database}",
        load=(*_SHELL, _CONNECT + _USE + 'load("{file}")'),
        leaves=r"(?m)^[ \t]*(?:db[ \t]*=(?!=)|use[ \t])[ \t]*(?P<database>[^\n;]+)",
    ),
    reset=Reset(
        inspect="inspect {database}",
        writes="writes {database}",
        repair="repair {template} {database} {thing}",
    ),
    log=LogFormat(
        entry=(
            r'\{"t":\{"\$date":"(?P<time>[\dT:.-]+)\+00:00"'
            r'(?:.*?"(?:ns|namespace|db|\$db)":"(?P<database>[^."]+))?'
        ),
        # Connections that open and close without an error, and the checkpoint of each minute.
        noise=(
            r'.*?"s":"[ID]\d?", *"c":"'
            r'(?:(?:NETWORK|ACCESS)"(?!.*[Ff]ail)|-".*client disconnected"|WTCHKPT")'
        ),
    ),
    addresses=Addresses(
        url=_URL,
        # No argument takes the database; `get_default_database()` finds it in the URL.
        drivers={"PyMongo": {"host": "{url}"}},
        env={"MONGODB_URI": _URL},
    ),
)
