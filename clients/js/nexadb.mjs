// nexadb.mjs - the same classes as an ES module: Node gives the CommonJS exports, a browser the globals.
import * as loaded from './nexadb.js';

const api = loaded.default ?? globalThis;
export const {
  NexaDB, CollectionClient, VectorCollectionClient, Watch, NexaDBException, NexaDBConnectionError, NexaDBTimeout,
  AuthError, NotFound, DuplicateKey, Conflict, InvalidRequest, ServerError,
} = api;
export default NexaDB;
