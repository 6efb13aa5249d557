// The client's classes and methods against a real daemon.
'use strict';
const assert = require('node:assert/strict');
const { after, before, beforeEach, test } = require('node:test');
const { AuthError, DuplicateKey, InvalidRequest, NexaDB, NexaDBConnectionError } = require('../nexadb');
const { start } = require('../testing/daemon');

const PEOPLE = [
  { _id: 'alice', name: 'Alice', age: 28, city: 'Paris' },
  { _id: 'bob', name: 'Bob', age: 35, city: 'Oslo' },
  { _id: 'carol', name: 'Carol', age: 42, city: 'Paris' },
];
let daemon, db, users;

before(async () => {
  daemon = await start();
  db = new NexaDB(daemon);
});
after(() => daemon?.stop());
beforeEach(async () => {
  for (const name of await db.listCollections()) await db.dropCollection(name);
  users = db.collection('users');
  assert.deepEqual(await users.insertMany(PEOPLE), ['alice', 'bob', 'carol']);
});

test('insert resolves to an id that finds the document', async () => {
  const id = await users.insert({ name: 'Dora', age: 3 });
  assert.equal(id.length, 24);
  assert.deepEqual(await users.findById(id), { _id: id, name: 'Dora', age: 3 });
});

test('find takes query, limit, sort, skip and projection', async () => {
  const ids = async (...args) => (await users.find(...args)).map(d => d._id);
  assert.deepEqual(await ids({ age: { $gt: 30 } }), ['bob', 'carol']);
  assert.deepEqual(await ids({}, 2, { sort: { age: -1 } }), ['carol', 'bob']);
  assert.deepEqual(await ids({}, 0, { skip: 2 }), ['carol']);
  assert.deepEqual(await users.find({ _id: 'bob' }, 1, { projection: { city: 1, _id: 0 } }), [{ city: 'Oslo' }]);
  assert.deepEqual(await users.query({ city: 'Oslo' }), [PEOPLE[1]]);
});

test('findOne and findById resolve to null for nothing', async () => {
  assert.equal((await users.findOne({ city: 'Oslo' }))._id, 'bob');
  assert.equal(await users.findOne({ city: 'Rome' }), null);
  assert.equal(await users.findById('nobody'), null);
});

test('update and delete tell whether there was a document', async () => {
  assert.equal(await users.update('alice', { age: 29 }), true);
  assert.deepEqual(await users.findById('alice'), { ...PEOPLE[0], age: 29 });
  assert.equal(await users.update('nobody', { age: 1 }), false);
  assert.equal(await users.delete('alice'), true);
  assert.equal(await users.delete('alice'), false);
});

test('replace creates and replaces', async () => {
  assert.equal(await users.replace('dora', { x: 1 }), false);
  assert.equal(await users.replace('dora', { y: 2 }), true);
  assert.deepEqual(await users.findById('dora'), { _id: 'dora', y: 2 });
});

test('updateMany, deleteMany, count and distinct', async () => {
  const { matched, modified } = await users.updateMany({ city: 'Paris' }, { $inc: { age: 1 } });
  assert.deepEqual([matched, modified], [2, 2]);
  assert.deepEqual(await users.distinct('city'), ['Oslo', 'Paris']);
  assert.equal(await users.count({ age: { $gte: 43 } }), 1);
  assert.equal(await users.deleteMany({ city: 'Paris' }), 2);
  assert.equal(await users.count(), 1);
});

test('aggregate groups and sorts', async () => {
  const pipeline = [{ $group: { _id: '$city', n: { $sum: 1 } } }, { $sort: { _id: 1 } }];
  assert.deepEqual(await users.aggregate(pipeline), [{ _id: 'Oslo', n: 1 }, { _id: 'Paris', n: 2 }]);
});

test('insertMany is all or nothing', async () => {
  await assert.rejects(users.insertMany([{ _id: 'dora' }, { _id: 'alice' }]), DuplicateKey);
  assert.equal(await users.findById('dora'), null);
});

test('iterate streams every document', async () => {
  const numbers = db.collection('numbers');
  await numbers.insertMany(Array.from({ length: 1000 }, (_, i) => ({ _id: i })));
  const seen = [];
  for await (const d of numbers.iterate({}, { sort: { _id: 1 } })) seen.push(d._id);
  assert.deepEqual(seen, Array.from({ length: 1000 }, (_, i) => i));
});

test('ids with any character are found again', async () => {
  const things = db.collection('odd things/nested');
  for (const id of ['a/b', '50%', 'ü?#&', 'count', 'with space', '42']) {
    assert.equal(await things.insert({ _id: id, n: 1 }), id);
    assert.equal((await things.findById(id))._id, id);
    assert.equal(await things.delete(id), true);
  }
});

test('a vector collection finds the nearest', async () => {
  const products = db.vectorCollection('products', 3);
  const ids = [];
  for (const [name, vector] of [['x', [1, 0, 0]], ['y', [0, 1, 0]], ['xy', [1, 1, 0]]]) ids.push(await products.insert({ name }, vector));
  const found = await products.search(new Float32Array([1, 0.1, 0]), 2);
  assert.deepEqual(found.map(hit => hit.document_id), [ids[0], ids[2]]);
  assert.ok(found[0].similarity > found[1].similarity);
  await assert.rejects(products.search([1, 0]), InvalidRequest);
});

test('collections, status and stats', async () => {
  await db.collection('b/c').insert({});
  assert.ok((await db.listCollections()).includes('b/c'));
  assert.equal(await db.dropCollection('b/c'), true);
  assert.equal(await db.dropCollection('b/c'), false);
  assert.equal((await db.status()).database, 'NexaDB');
  assert.ok('engine_stats' in (await db.stats()));
});

test('errors carry code, status and message', async () => {
  const error = await users.find({ age: { $nope: 1 } }).catch(e => e);
  assert.ok(error instanceof InvalidRequest);
  assert.deepEqual([error.status, error.code], [400, 'unknown_operator']);
  assert.match(error.message, /\$nope/);
  await assert.rejects(new NexaDB({ ...daemon, apiKey: 'wrong' }).listCollections(), AuthError);
  await assert.rejects(new NexaDB({ port: 9, retries: 0 }).status(), NexaDBConnectionError);
});

test('the ES module gives the same classes', async () => {
  const module = await import('../nexadb.mjs');
  assert.equal(module.NexaDB, NexaDB);
  assert.equal(module.default, NexaDB);
});

test('a watch tells what happens and goes on from a token', async () => {
  const watch = await users.watch();
  await users.insert({ _id: 'dora', age: 3 });
  await users.delete('bob');
  const seen = [];
  for await (const change of watch) {
    seen.push(change);
    if (seen.length === 2) break;
  }
  assert.deepEqual(seen.map(c => [c.operationType, c.documentKey._id]), [['insert', 'dora'], ['delete', 'bob']]);
  assert.deepEqual(seen[0].fullDocument, { _id: 'dora', age: 3 });
  assert.equal(watch.token, seen[1].token);
  const again = await db.watch({ since: seen[0].token, fullDocument: false });
  for await (const change of again) {
    assert.deepEqual(change.documentKey, { _id: 'bob' });
    break;
  }
  const all = await users.watch({ since: '0' });
  await db.dropCollection('users');
  const types = [];
  for await (const change of all) types.push(change.operationType);
  assert.equal(types.at(-1), 'drop');
  await assert.rejects(db.watch({ since: '0000000000000001deadbeef' }), { code: 'token_expired' });
});
