// A server that exists already may have no users. Scripts that are loaded see no name but `server`.
const server = (({ LDB_USER: user, LDB_PASSWORD: password }) => {
  const login = password ? `${encodeURIComponent(user)}:${encodeURIComponent(password)}@` : "";
  return new Mongo(`mongodb://${login}{host}:{port}/` + (login && "?authSource=admin"));
})(process.env);
