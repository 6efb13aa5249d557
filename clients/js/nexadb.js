/*
 * nexadb.js - client for NexaDB: Node 18 or later and browsers, no dependency.
 *
 * One source for three ways of loading: require('nexadb'), import from 'nexadb' (nexadb.mjs), and a
 * plain <script>, which leaves the classes in globalThis.
 */
(function (root) {
  'use strict';

  /** Base of everything this library throws: `status` (HTTP, 0 without an answer), `code`, `details`. */
  class NexaDBException extends Error {
    constructor(message, { status = 0, code = '', details = {}, cause } = {}) {
      super(message, cause === undefined ? undefined : { cause });
      this.name = new.target.name;
      this.status = status;
      this.code = code;
      this.details = details;
    }
  }
  class NexaDBConnectionError extends NexaDBException {}
  class NexaDBTimeout extends NexaDBConnectionError {}
  class AuthError extends NexaDBException {}
  class NotFound extends NexaDBException {}
  class DuplicateKey extends NexaDBException {}
  class Conflict extends NexaDBException {}
  class InvalidRequest extends NexaDBException {}
  class ServerError extends NexaDBException {}

  const BY_CODE = { duplicate_key: DuplicateKey, write_conflict: Conflict, precondition_failed: Conflict };
  const BY_STATUS = { 401: AuthError, 403: AuthError, 404: NotFound, 409: Conflict, 412: Conflict };

  function fromAnswer(status, answer) {
    const details = answer !== null && typeof answer === 'object' ? answer : {};
    const Kind = BY_CODE[details.code] ?? BY_STATUS[status] ?? (status >= 500 ? ServerError : InvalidRequest);
    return new Kind(String(details.error ?? answer ?? 'no message'), { status, code: details.code ?? '', details });
  }

  function parseEvent(block) {
    const fields = {};
    for (const line of block.split('\n')) {
      const colon = line.indexOf(': ');
      if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
    }
    return fields;
  }

  const IDEMPOTENT = new Set(['GET', 'HEAD', 'PUT', 'DELETE']);
  const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

  /** Requests in, decoded JSON out. The platform's fetch keeps the connections. */
  class Transport {
    constructor({ host, port, apiKey, timeoutMs, retries, baseUrl, fetch: fetchFunction }) {
      this.base = (baseUrl ?? `http://${host}:${port}`).replace(/\/$/, '');
      this.headers = apiKey ? { 'X-API-Key': apiKey } : {};
      this.timeoutMs = timeoutMs;
      this.retries = retries;
      this.fetch = fetchFunction ?? ((...args) => globalThis.fetch(...args));
    }

    /** A broken connection is tried again, with a growing pause, where a repetition does no harm. */
    async request(method, path, { body, repeatable = IDEMPOTENT.has(method) } = {}) {
      for (let attempt = 0; ; attempt++) {
        try {
          return await this.#once(method, path, body);
        } catch (error) {
          const again = error instanceof NexaDBConnectionError && !(error instanceof NexaDBTimeout) && repeatable;
          if (!again || attempt >= this.retries) throw error;
          await pause(Math.min(2000, 50 * 2 ** attempt) * (0.5 + Math.random() / 2));
        }
      }
    }

    async #once(method, path, body) {
      const response = await this.#send(method, path, body, 'application/json');
      const text = await this.#guard(() => response.text());
      let answer = text;
      try {
        answer = text ? JSON.parse(text) : {};
      } catch { /* not JSON: the text is the message */ }
      if (!response.ok || answer === null || typeof answer !== 'object') throw fromAnswer(response.status, answer);
      return answer;
    }

    /** The error of an answer that was to be a stream. */
    async #refusal(response) {
      const text = await this.#guard(() => response.text());
      try {
        return fromAnswer(response.status, JSON.parse(text));
      } catch {
        return fromAnswer(response.status, text); // not JSON: the text is the message
      }
    }

    /** The documents of an NDJSON answer, one at a time. */
    async *stream(method, path, body) {
      const response = await this.#send(method, path, body, 'application/x-ndjson');
      if (!response.ok) throw await this.#refusal(response);
      const decoder = new TextDecoder();
      let rest = '';
      for await (const chunk of response.body) {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
        rest = lines.pop();
        for (const line of lines) if (line.trim()) yield JSON.parse(line);
      }
      if (rest.trim()) yield JSON.parse(rest);
    }

    /** An open answer of server-sent events, as blocks { id, event, data }. `signal` ends it. */
    async *events(path, lastId, signal) {
      const headers = { ...this.headers, Accept: 'text/event-stream', ...(lastId ? { 'Last-Event-ID': lastId } : {}) };
      const response = await this.#guard(() => this.fetch(this.base + path, { headers, signal }));
      if (!response.ok) throw await this.#refusal(response);
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      for (let rest = ''; ;) {
        const { done, value } = await this.#guard(() => reader.read());
        if (done) return;
        const blocks = (rest + decoder.decode(value, { stream: true })).split('\n\n');
        rest = blocks.pop();
        for (const block of blocks) yield parseEvent(block);
      }
    }

    #send(method, path, body, accept) {
      const headers = { ...this.headers, Accept: accept };
      if (body !== undefined) headers['Content-Type'] = 'application/json';
      return this.#guard(() => this.fetch(this.base + path, {
        method, headers, body: body === undefined ? undefined : JSON.stringify(body),
        signal: this.timeoutMs ? AbortSignal.timeout(this.timeoutMs) : undefined,
      }));
    }

    async #guard(call) {
      try {
        return await call();
      } catch (cause) {
        if (cause?.name === 'TimeoutError')
          throw new NexaDBTimeout(`no answer from ${this.base} within ${this.timeoutMs} ms`, { cause });
        throw new NexaDBConnectionError(`no answer from ${this.base}: ${cause?.cause?.message ?? cause?.message}`, { cause });
      }
    }
  }

  /** An id as it is written in a path: a string or a number as it is, an ObjectId by its digits. */
  function idText(id) {
    if (id !== null && typeof id === 'object') return String(id.$oid ?? id.$numberLong ?? JSON.stringify(id));
    return String(id);
  }

  const notFound = value => error => {
    if (error instanceof NotFound) return value;
    throw error;
  };

  /** The documents of one collection; nested collections are named by their path, `users/archive`. */
  class CollectionClient {
    #transport;
    #path;

    constructor(name, transport) {
      this.name = name;
      this.#transport = transport;
      this.#path = '/collections/' + encodeURIComponent(name);
    }

    #document(id) {
      return `${this.#path}/documents/${encodeURIComponent(idText(id))}`;
    }

    #post(action, body, repeatable = false) {
      return this.#transport.request('POST', `${this.#path}/${action}`, { body, repeatable });
    }

    /** Insert a document; resolves to its id. DuplicateKey when its _id exists. */
    async insert(document) {
      return (await this.#transport.request('POST', this.#path, { body: document })).document_id;
    }

    /** Insert all of them or, when one is refused, none; resolves to their ids in order. */
    async insertMany(documents) {
      return (await this.#post('bulk', { documents })).document_ids;
    }

    /** The documents that match, at most `limit` (0: all). Options: skip, sort, projection. */
    async find(query = {}, limit = 100, { skip, sort, projection } = {}) {
      return (await this.#post('query', { query, limit, skip, sort, projection }, true)).documents;
    }

    /** The same as find. */
    query(query = {}, limit = 100, options = {}) {
      return this.find(query, limit, options);
    }

    async findOne(query = {}) {
      return (await this.find(query, 1))[0] ?? null;
    }

    findById(id) {
      return this.#transport.request('GET', this.#document(id)).then(answer => answer.document).catch(notFound(null));
    }

    /** Every document that matches, streamed: for await (const d of users.iterate()). */
    iterate(query = {}, { sort } = {}) {
      return this.#transport.stream('POST', `${this.#path}/query`, { query, limit: 0, sort });
    }

    async aggregate(pipeline) {
      return (await this.#post('aggregate', { pipeline })).results;
    }

    async count(query = {}) {
      return (await this.#post('count', { filter: query }, true)).count;
    }

    async distinct(field, query = {}) {
      return (await this.#post('distinct', { field, filter: query }, true)).values;
    }

    /** Merge top-level fields into a document; false when there is none. */
    update(id, updates) {
      return this.#transport.request('PUT', this.#document(id), { body: updates }).then(() => true).catch(notFound(false));
    }

    /** Apply update operators ({ $set: ... }); resolves to { matched, modified, ... }. */
    updateMany(query, update, { multi = true, upsert = false } = {}) {
      return this.#post('update', { filter: query, update, multi, upsert });
    }

    /** Put a whole document in place, creating it when absent; true when it replaced one. */
    async replace(id, document) {
      const answer = await this.#transport.request('PUT', `${this.#document(id)}?replace=true`, { body: document });
      return answer.message === 'Document updated';
    }

    /** Delete a document; false when there is none. */
    delete(id) {
      return this.#transport.request('DELETE', this.#document(id)).then(() => true).catch(notFound(false));
    }

    /** Delete what matches; resolves to how many. */
    /** The changes of this collection from now on, or those after the token `since` ("0": all that are kept). */
    watch(options) {
      return new Watch(this.#transport, `${this.#path}/changes`, options).open();
    }

    async deleteMany(query, { multi = true } = {}) {
      return (await this.#post('delete', { filter: query, multi })).deleted;
    }
  }

  /** Documents that carry a vector in one field. */
  /**
   * Changes as they happen: `for await (const change of watch)`. A broken connection is made again and goes on
   * where it was; `token` is that place. The watch of a collection ends when the collection is dropped.
   */
  class Watch {
    #transport; #path; #full; #abort = new AbortController(); #events = null; #dropped = false;

    constructor(transport, path, { since = null, fullDocument = true } = {}) {
      this.#transport = transport;
      this.#path = path;
      this.#full = fullDocument;
      this.token = since;
    }

    /** Resolves when the server says from where it tells: nothing after that is missed. */
    async open() {
      const params = [...(this.token === '0' ? ['since=0'] : []), ...(this.#full ? [] : ['fullDocument=false'])];
      const path = this.#path + (params.length ? `?${params.join('&')}` : '');
      this.#events = this.#transport.events(path, this.token === '0' ? null : this.token, this.#abort.signal);
      const { value } = await this.#events.next();
      this.token = value?.id ?? this.token;
      return this;
    }

    /** The next block, over a new connection where the old one broke; null at the end. */
    async #next() {
      for (let failures = 0; ; failures++) {
        try {
          if (!this.#events) await this.open();
          const { done, value } = await this.#events.next();
          if (!done) return value;
          if (this.#dropped || this.#abort.signal.aborted) return null;
          throw new NexaDBConnectionError('the server ended the stream');
        } catch (error) {
          if (this.#abort.signal.aborted) return null;
          if (!(error instanceof NexaDBConnectionError) || failures >= this.#transport.retries) throw error;
          this.#events = null;
          await pause(50 * 2 ** failures);
        }
      }
    }

    async *[Symbol.asyncIterator]() {
      try {
        for (let block; (block = await this.#next()) !== null;) {
          this.token = block.id ?? this.token;
          if (block.event === 'error') throw fromAnswer(410, JSON.parse(block.data));
          if (block.data === undefined) continue;
          const change = JSON.parse(block.data);
          this.#dropped = change.operationType === 'drop' && this.#path !== '/changes';
          yield change;
        }
      } finally {
        this.close();
      }
    }

    close() {
      this.#abort.abort();
    }
  }

  class VectorCollectionClient {
    #transport;

    constructor(name, transport, dimensions = 768, field = 'vector') {
      this.name = name;
      this.dimensions = dimensions;
      this.field = field;
      this.collection = new CollectionClient(name, transport);
      this.#transport = transport;
    }

    #checked(vector) {
      const values = Array.from(vector, Number);
      if (values.length !== this.dimensions)
        throw new InvalidRequest(`a vector of ${this.dimensions} dimensions is needed, this one has ${values.length}`,
          { code: 'dimension_mismatch' });
      return values;
    }

    /** Insert a document with its vector; resolves to its id. */
    async insert(document, vector) {
      return this.collection.insert({ ...document, [this.field]: this.#checked(vector) });
    }

    /** The nearest documents, nearest first: { document_id, similarity, document }. */
    async search(queryVector, limit = 10, { metric = 'cosine', filter } = {}) {
      const body = { vector: this.#checked(queryVector), limit, dimensions: this.dimensions, field: this.field, metric, filter };
      const path = `/vector/${encodeURIComponent(this.name)}/search`;
      return (await this.#transport.request('POST', path, { body, repeatable: true })).results;
    }
  }

  /** A server. */
  class NexaDB {
    #transport;

    constructor({ host = 'localhost', port = 6969, apiKey = '', timeoutMs = 30000, retries = 3, baseUrl, fetch } = {}) {
      this.#transport = new Transport({ host, port, apiKey, timeoutMs, retries, baseUrl, fetch });
    }

    collection(name) {
      return new CollectionClient(name, this.#transport);
    }

    vectorCollection(name, dimensions = 768, field = 'vector') {
      return new VectorCollectionClient(name, this.#transport, dimensions, field);
    }

    async listCollections() {
      return (await this.#transport.request('GET', '/collections')).collections;
    }

    /** Drop a collection with all that is in it; false when there is none. */
    dropCollection(name) {
      return this.#transport.request('DELETE', '/collections/' + encodeURIComponent(name)).then(() => true).catch(notFound(false));
    }

    /** The changes of all collections from now on, or those after the token `since` ("0": all that are kept). */
    watch(options) {
      return new Watch(this.#transport, '/changes', options).open();
    }

    status() {
      return this.#transport.request('GET', '/status');
    }

    async stats() {
      return (await this.#transport.request('GET', '/stats')).stats;
    }
  }

  const api = {
    NexaDB, CollectionClient, VectorCollectionClient, Watch, NexaDBException, NexaDBConnectionError, NexaDBTimeout,
    AuthError, NotFound, DuplicateKey, Conflict, InvalidRequest, ServerError,
  };
  if (typeof module !== 'undefined' && module.exports) module.exports = api;
  else Object.assign(root, api);
})(globalThis);
