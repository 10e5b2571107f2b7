// Run by the client that is kept open: it takes a verb and its names a line.
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
      const details = md ? [type, md.options, indexes] : [type, rest];
      print([name, hashes[name], JSON.stringify(details)].join("\t"));
    }
  },
  repair(from, to, ...words) {
    const name = words.join(" "), target = { db: to, coll: name };
    server.getDB(to).getCollection(name).deleteMany({});
    server.getDB(from).getCollection(name).aggregate([{ $merge: { into: target } }]);
  },
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
    try { verbs[verb](...names); } catch (error) { print(String(error)); }
  }
}
