"""MongoDB."""

import struct

from ..model.database_type import DatabaseType, Exchange

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
# What is kept open: it takes a verb and names of databases a line.
_VERBS = """
const verbs = {
  clone(from, to) {
    const source = server.getDB(from), target = server.getDB(to);
    for (const { name, type, options } of source.getCollectionInfos()) {
      if (name.startsWith("system.")) continue;
      const collection = source.getCollection(name);
      target.createCollection(name, options);
      if (type === "view") continue;
      const indexes = collection.getIndexes().filter((index) => index.name !== "_id_");
      if (indexes.length) target.runCommand({ createIndexes: name, indexes: indexes });
      if (options.capped || type === "timeseries") {  // $merge refuses these
        const documents = collection.find().toArray();
        if (documents.length) target.getCollection(name).insertMany(documents);
      } else {
        collection.aggregate([{ $merge: { into: { db: to, coll: name } } }]);
      }
    }
  },
  inspect(name) {
    const hashes = server.getDB(name).runCommand({ dbHash: 1 }).collections;
    const catalog = [{ $listCatalog: {} }, { $match: { db: name } }];
    for (const { name, type, md, ...rest } of server.getDB("admin").aggregate(catalog).toArray()) {
      const indexes = md && md.indexes.map(({ spec, ready }) => [spec, ready]);
      const kind = md ? [type, md.options, indexes] : [type, rest];
      print([name, hashes[name], JSON.stringify(kind)].join("\t"));
    }
  },
  repair(from, to, name) {
    const target = { db: to, coll: name };
    server.getDB(to).getCollection(name).deleteMany({});
    server.getDB(from).getCollection(name).aggregate([{ $merge: { into: target } }]);
  },
  drop(name) { server.getDB(name).dropDatabase(); },
  mark(text) { print(text); },
};
"""
_SERVE = """
const fs = require("fs"), input = fs.openSync("/dev/stdin"), chunk = Buffer.alloc(4096);
for (let text = "", size = -1; size !== 0; ) {
  try {
    size = fs.readSync(input, chunk);
  } catch (error) {
    if (error.code !== "EAGAIN") throw error;
    sleep(10);
    continue;
  }
  const lines = (text + chunk.toString("latin1", 0, size)).split("\\n");
  text = lines.pop();
  for (const line of lines) {
    const [verb, ...names] = line.split(" ");
    try { verbs[verb](...names); } catch (error) { print(String(error)); }
  }
}
"""
# From a pipe it takes a script as from a file: then errors count, and nothing prompts for more.
_TERMINAL = """
connect=$1
shift
if [ $# = 0 ]; then
  if [ -t 0 ]; then set -- --shell; else set -- --file /dev/stdin; fi
fi
exec mongosh --quiet --nodb --eval "$connect" "$@"
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
        # Otherwise its journal takes 300 MB, in files of 100. A change must fit into one file, and
        # a document has at most 16 MB.
        *("--wiredTigerEngineConfigString", "log=(file_max=32MB,prealloc=false)"),
    ),
    log_entry=(
        r'\{"t":\{"\$date":"(?P<time>[\dT:.-]+)\+00:00"'
        r'(?:.*?"(?:ns|namespace|db|\$db)":"(?P<database>[^."]+))?'
    ),
    # Who comes and goes, unless that fails, and what it writes every minute.
    log_noise=(
        r'.*?"s":"[ID]\d?", *"c":"'
        r'(?:(?:NETWORK|ACCESS)"(?!.*[Ff]ail)|-".*client disconnected"|WTCHKPT")'
    ),
    credential_environment={
        "MONGO_INITDB_ROOT_USERNAME": "{user}",
        "MONGO_INITDB_ROOT_PASSWORD": "{password}",
        "MONGO_INITDB_DATABASE": "{database}",
    },
    init_directory="/docker-entrypoint-initdb.d",
    cached=True,
    client_environment={"LDB_USER": "{user}", "LDB_PASSWORD": "{password}"},
    client=(*_SHELL, _CONNECT + _VERBS + _SERVE),
    client_mark="mark {mark}",
    terminal=("sh", "-c", _TERMINAL, "sh", _CONNECT + 'db = server.getDB("{database}"); undefined'),
    # The first write creates a database.
    create=(),
    clone="clone {template} {database}",
    drop="drop {database}",
    inspect="inspect {database}",
    repair="repair {template} {database} {thing}",
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
