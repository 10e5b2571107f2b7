// Run by the client that is kept open: it takes a verb and its names a line.
//
// Values stay what they are in BSON: as values of JavaScript, 1.0 would become an integer.
const exact = { promoteValues: false, promoteLongs: false, bsonRegExp: true };
const text = (value) => EJSON.stringify(value, { relaxed: false });

function ask(database, command) {
  const result = server.getDB(database).runCommand(command, exact);
  return result.cursor ? result.cursor.firstBatch : result;
}

// $out inserts documents as they are, whatever their fields are called, and keeps the options and
// the indexes of the collection.
function fill(from, to, name) {
  const pipeline = [{ $out: { db: to, coll: name } }], options = { bypassDocumentValidation: true };
  server.getDB(from).getCollection(name).aggregate(pipeline, options);
}

// Where $out refuses to write.
function insert(from, to, name) {
  const documents = server.getDB(from).getCollection(name).find({}, {}, exact).toArray();
  if (documents.length) server.getDB(to).getCollection(name).insertMany(documents);
}

// A collection that is capped already is refused by $out.
function fillCapped(from, to, name, { size, max }) {
  fill(from, to, name);
  ask(to, { convertToCapped: name, size });
  if (max) ask(to, { collMod: name, cappedMax: max });
}

function copy(from, to, { name, type, options }) {
  const { capped, size, max, ...others } = options;
  if (name !== "system.js") ask(to, { create: name, ...others });
  if (type === "view") return;
  if (name === "system.js") insert(from, to, name);
  else if (type === "timeseries") insert(from, to, `system.buckets.${name}`);
  else if (capped) fillCapped(from, to, name, { size, max });
  else fill(from, to, name);
  const indexes = ask(from, { listIndexes: name, cursor: { batchSize: 1000 } })
    .filter((index) => index.name !== "_id_" && !index.clustered);
  if (indexes.length) ask(to, { createIndexes: name, indexes });
}

// Calls `tell` with the name of each collection, its content and what else a client can see of it,
// and with what changes whenever it is written to. A collection of which the server computes no
// hash may hold anything: it is never the same.
function read(name, tell) {
  const { collections: hashes } = server.getDB(name).runCommand({ dbHash: 1 });
  const { totals } = server.getDB("admin").runCommand({ top: 1 });
  const catalog = [{ $listCatalog: {} }, { $match: { db: name } }];
  tell("", server.getDB(name).getCollectionNames().length, "");
  for (const found of server.getDB("admin").aggregate(catalog, exact).toArray()) {
    const { name: collection, type, md, ...rest } = found;
    const { uuid, ...options } = md ? md.options : rest;
    const indexes = md && md.indexes.map(({ spec, ready }) => [spec, ready]);
    const hash = hashes[collection] || (md ? UUID() : "");
    const { writeLock, insert, update, remove } = totals[`${name}.${collection}`] || {};
    const writes = [uuid, writeLock, insert, update, remove].map((one) => one?.count ?? one);
    tell(encodeURIComponent(collection), text([hash, type, options, indexes]), text(writes));
  }
}

const verbs = {
  clone(from, to) {
    const list = { listCollections: 1, cursor: { batchSize: 1e6 } };
    for (const collection of ask(from, list)) {
      const { name } = collection;
      if (!name.startsWith("system.") || name === "system.js") copy(from, to, collection);
    }
  },
  inspect(name) { read(name, (...parts) => print(parts.slice(0, 2).join("\t"))); },
  writes(name) { read(name, (...parts) => print(parts.join("\t"))); },
  repair(from, to, thing) { fill(from, to, decodeURIComponent(thing)); },
  drop(name) { server.getDB(name).dropDatabase(); },
  mark(text) { print(text); },
};

const fs = require("fs"), { StringDecoder } = require("string_decoder");
// A chunk may end in the middle of a character, which the decoder keeps for the next one.
const input = fs.openSync("/dev/stdin"), chunk = Buffer.alloc(4096);
const decoder = new StringDecoder("utf8");
for (let text = "", size = -1; size !== 0; ) {
  try {
    size = fs.readSync(input, chunk);
  } catch (error) {
    if (error.code !== "EAGAIN") throw error;
    sleep(10);
    continue;
  }
  const lines = (text + decoder.write(chunk.subarray(0, size))).split("\n");
  text = lines.pop();
  for (const line of lines) {
    const [verb, ...names] = line.split(" ");
    // A tab would make a line of an inspection of it.
    try { verbs[verb](...names); } catch (error) { print(String(error).replace(/\t/g, " ")); }
  }
}
