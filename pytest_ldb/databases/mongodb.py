"""MongoDB."""

import struct

from ..core.types import DatabaseType, Exchange

# `{hello: 1, $db: "admin"}` as OP_MSG (MongoDB wire protocol, opcode 2013): header, flags, one
# section of kind 0. It is answered before anybody has logged in. `ok: 1.0` ends the answer of a
# server that takes commands; while the image initialises itself it listens on loopback only.
_HELLO = b"\x10hello\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0"
_DOCUMENT = struct.pack("<i", 4 + len(_HELLO)) + _HELLO
_MESSAGE = struct.pack("<iiii", 16 + 5 + len(_DOCUMENT), 1, 0, 2013) + b"\0\0\0\0\0" + _DOCUMENT
_OK = rb".*\x01ok\x00\x00\x00\x00\x00\x00\x00\xf0\x3f"

_CONNECT = """
const server = new Mongo("mongodb://" + encodeURIComponent(process.env.LDB_USER) + ":" +
  encodeURIComponent(process.env.LDB_PASSWORD) + "@{host}:{port}/?authSource=admin");
"""
_CLONE = """
const source = server.getDB("{template}"), target = server.getDB("{database}");
for (const { name, type, options } of source.getCollectionInfos()) {
  if (name.startsWith("system.")) continue;
  target.createCollection(name, options);
  if (type === "view") continue;
  if (options.capped || type === "timeseries") {  // $out refuses these
    const documents = source.getCollection(name).find().toArray();
    if (documents.length) target.getCollection(name).insertMany(documents);
  } else {
    source.getCollection(name).aggregate([{ $out: { db: "{database}", coll: name } }]);
  }
  const indexes = source.getCollection(name).getIndexes().filter((index) => index.name !== "_id_");
  if (indexes.length) target.runCommand({ createIndexes: name, indexes: indexes });
}
"""
_SHELL = ("mongosh", "--quiet", "--norc", "--nodb", "--eval")

MONGODB = DatabaseType(
    name="mongodb",
    aliases=("mongo",),
    image="mongo:8",
    port=27017,
    ready=Exchange(send=_MESSAGE, ready=_OK),
    user="root",
    initial_database="ldb",
    program="mongod",
    tuning=(
        *("--wiredTigerCacheSizeGB", "0.25"),
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    ),
    credential_environment={
        "MONGO_INITDB_ROOT_USERNAME": "{user}",
        "MONGO_INITDB_ROOT_PASSWORD": "{password}",
        "MONGO_INITDB_DATABASE": "{database}",
    },
    init_directory="/docker-entrypoint-initdb.d",
    client_environment={"LDB_USER": "{user}", "LDB_PASSWORD": "{password}"},
    # The first write creates a database.
    create=(),
    clone=(*_SHELL, _CONNECT + _CLONE),
    drop=(*_SHELL, _CONNECT + 'server.getDB("{database}").dropDatabase()'),
    load=(*_SHELL, _CONNECT + 'db = server.getDB("{database}"); load("{file}")'),
    url="mongodb://{user}:{password}@{host}:{port}/{database}?authSource=admin",
    driver_keywords={
        "host": "{host}",
        "port": "{port}",
        "username": "{user}",
        "password": "{password}",
        "authSource": "admin",
    },
    variables={
        "MONGODB_URI": "mongodb://{user}:{password}@{host}:{port}/{database}?authSource=admin"
    },
)
