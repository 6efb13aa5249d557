/** Types of the NexaDB client. Documents are relaxed Extended JSON. */
export type Document = { [field: string]: any };
export type Id = string | number | { $oid: string } | { $numberLong: string };

export interface Options {
  host?: string;
  port?: number;
  apiKey?: string;
  /** 0: no limit. */
  timeoutMs?: number;
  /** How often a call that may be repeated is tried again after a broken connection. */
  retries?: number;
  /** Instead of host and port: "https://db.example". */
  baseUrl?: string;
  fetch?: typeof fetch;
}

export interface FindOptions {
  skip?: number;
  sort?: Document;
  projection?: Document;
}

export interface UpdateResult {
  matched: number;
  modified: number;
  upserted: number | boolean;
  upserted_id?: Id;
}

export interface Hit<T = Document> {
  document_id: Id;
  similarity: number;
  document: T;
}

export class NexaDB {
  constructor(options?: Options);
  collection<T extends Document = Document>(name: string): CollectionClient<T>;
  vectorCollection<T extends Document = Document>(name: string, dimensions?: number, field?: string): VectorCollectionClient<T>;
  listCollections(): Promise<string[]>;
  dropCollection(name: string): Promise<boolean>;
  watch(options?: WatchOptions): Promise<Watch>;
  status(): Promise<Document>;
  stats(): Promise<Document>;
}
export default NexaDB;

export class CollectionClient<T extends Document = Document> {
  readonly name: string;
  insert(document: T): Promise<Id>;
  insertMany(documents: T[]): Promise<Id[]>;
  find(query?: Document, limit?: number, options?: FindOptions): Promise<T[]>;
  query(query?: Document, limit?: number, options?: FindOptions): Promise<T[]>;
  findOne(query?: Document): Promise<T | null>;
  findById(id: Id): Promise<T | null>;
  iterate(query?: Document, options?: { sort?: Document }): AsyncGenerator<T>;
  aggregate<R = Document>(pipeline: Document[]): Promise<R[]>;
  count(query?: Document): Promise<number>;
  distinct(field: string, query?: Document): Promise<any[]>;
  update(id: Id, updates: Partial<T>): Promise<boolean>;
  updateMany(query: Document, update: Document | Document[], options?: { multi?: boolean; upsert?: boolean }): Promise<UpdateResult>;
  replace(id: Id, document: T): Promise<boolean>;
  delete(id: Id): Promise<boolean>;
  watch(options?: WatchOptions): Promise<Watch<T>>;
  deleteMany(query: Document, options?: { multi?: boolean }): Promise<number>;
}

export interface WatchOptions {
  /** A token to go on after; "0": all changes that are kept. */
  since?: string | null;
  fullDocument?: boolean;
}

export interface Change<T = Document> {
  operationType: 'insert' | 'update' | 'delete' | 'create' | 'rename' | 'drop';
  ns: string;
  to?: string;
  documentKey?: { _id: Id };
  fullDocument?: T;
  token: string;
}

export class Watch<T = Document> implements AsyncIterable<Change<T>> {
  readonly token: string | null;
  [Symbol.asyncIterator](): AsyncGenerator<Change<T>>;
  close(): void;
}

export class VectorCollectionClient<T extends Document = Document> {
  readonly name: string;
  readonly dimensions: number;
  readonly field: string;
  readonly collection: CollectionClient<T>;
  insert(document: T, vector: ArrayLike<number>): Promise<Id>;
  search(queryVector: ArrayLike<number>, limit?: number, options?: { metric?: 'cosine' | 'l2' | 'dot'; filter?: Document }): Promise<Hit<T>[]>;
}

export class NexaDBException extends Error {
  readonly status: number;
  readonly code: string;
  readonly details: Document;
}
export class NexaDBConnectionError extends NexaDBException {}
export class NexaDBTimeout extends NexaDBConnectionError {}
export class AuthError extends NexaDBException {}
export class NotFound extends NexaDBException {}
export class DuplicateKey extends NexaDBException {}
export class Conflict extends NexaDBException {}
export class InvalidRequest extends NexaDBException {}
export class ServerError extends NexaDBException {}
