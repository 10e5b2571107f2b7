const server = new Mongo("mongodb://" + encodeURIComponent(process.env.LDB_USER) + ":" +
  encodeURIComponent(process.env.LDB_PASSWORD) + "@{host}:{port}/?authSource=admin");
