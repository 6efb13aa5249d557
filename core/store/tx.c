/* tx.c - the life of a change: begin, lock, collect, submit, tell, unlock, wait. */
#include "store/tx.h"

#include <stdlib.h>

struct tx_event {
    enum nx_event_type type;
    enum nx_kind kind;
    nx_ino ino, parent, to_parent;
    size_t name_at, to_name_at; /* in event_names */
};

/* --- begin ------------------------------------------------------------------------------------ */

static struct tx *tx_new(struct nx_db *db)
{
    struct tx *tx = calloc(1, sizeof *tx);

    if (!tx)
        return NULL;
    tx->db = db;
    if (nx_batch_new(&tx->batch) != NX_OK) {
        free(tx);
        return NULL;
    }
    return tx;
}

static void tx_free(struct tx *tx)
{
    nx_batch_free(tx->batch);
    free(tx->dirs);
    nx_buf_fini(&tx->changes);
    nx_buf_fini(&tx->rows);
    nx_buf_fini(&tx->labels);
    nx_buf_fini(&tx->events);
    nx_buf_fini(&tx->event_names);
    nx_buf_fini(&tx->value);
    nx_buf_fini(&tx->read);
    free(tx);
}

static struct tx *take_idle(struct nx_db *db)
{
    struct tx *tx;

    nx_mutex_lock(&db->idle_mu);
    tx = db->idle;
    if (tx)
        db->idle = tx->next_idle;
    nx_mutex_unlock(&db->idle_mu);
    return tx ? tx : tx_new(db);
}

/* What a change may keep for the next one: a bulk load should not pin its memory. */
#define KEEP_BYTES (2u << 20)

static bool is_small(const struct tx *tx)
{
    return nx_batch_bytes(tx->batch) + tx->events.cap + tx->event_names.cap + tx->value.cap +
               tx->read.cap + tx->changes.cap <
           KEEP_BYTES;
}

static void give_back(struct tx *tx)
{
    struct nx_db *db = tx->db;

    if (!is_small(tx)) {
        tx_free(tx);
        return;
    }
    nx_batch_clear(tx->batch);
    tx->dir_count = 0;
    nx_buf_clear(&tx->events);
    nx_buf_clear(&tx->event_names);
    nx_buf_clear(&tx->changes);
    nx_buf_clear(&tx->rows);
    nx_buf_clear(&tx->labels);
    tx->renamed_away = 0;
    tx->failed = NX_OK;
    tx->stripes = 0;
    nx_mutex_lock(&db->idle_mu);
    tx->next_idle = db->idle;
    db->idle = tx;
    nx_mutex_unlock(&db->idle_mu);
}

void tx_pool_fini(struct nx_db *db)
{
    while (db->idle) {
        struct tx *next = db->idle->next_idle;

        tx_free(db->idle);
        db->idle = next;
    }
}

enum nx_code tx_begin(struct nx_db *db, const struct nx_change *change, bool names, struct tx **out,
                      struct nx_err *err)
{
    struct tx *tx;

    *out = NULL;
    if (db->read_only)
        return nx_fail(err, NX_EROFS, "the database is open read-only");
    tx = take_idle(db);
    if (!tx)
        return nx_fail_nomem(err);
    tx->change = change ? *change
                        : (struct nx_change){.durability = NX_BUFFERED,
                                             .uid = db->owner_uid,
                                             .gid = db->owner_gid};
    tx->notify = events_wanted(&db->events);
    tx->names = names;
    if (names)
        nx_mutex_lock(&db->names);
    tx->now_ns = (int64_t)db->io->ops->realtime_ns(db->io);
    *out = tx;
    return NX_OK;
}

void tx_lock(struct tx *tx, uint64_t stripes)
{
    tx->stripes = stripes;
    stripes_lock(&tx->db->stripes, stripes);
    /* Read under the lock: times of one node do not go back with the order of its changes. */
    tx->now_ns = (int64_t)tx->db->io->ops->realtime_ns(tx->db->io);
}

static void unlock(struct tx *tx) NX_NO_THREAD_SAFETY
{
    if (tx->stripes)
        stripes_unlock(&tx->db->stripes, tx->stripes);
    if (tx->names)
        nx_mutex_unlock(&tx->db->names);
}

static void abandon(struct tx *tx) NX_NO_THREAD_SAFETY
{
    tx_feed_end(tx);
    unlock(tx);
}

/* --- submit ----------------------------------------------------------------------------------- */

/* A caller that waits. */
struct waiter {
    struct nx_mutex mu;
    struct nx_cond finished;
    bool is_finished;  /* guarded by mu */
    struct nx_err err; /* guarded by mu; code NX_OK on success */
};

static void wake(void *arg, const struct nx_err *error)
{
    struct waiter *waiter = arg;

    nx_mutex_lock(&waiter->mu);
    if (error)
        waiter->err = *error;
    waiter->is_finished = true;
    nx_cond_signal(&waiter->finished);
    nx_mutex_unlock(&waiter->mu);
}

static enum nx_code wait_for(struct waiter *waiter, struct nx_err *err)
{
    nx_mutex_lock(&waiter->mu);
    while (!waiter->is_finished)
        nx_cond_wait(&waiter->finished, &waiter->mu);
    nx_mutex_unlock(&waiter->mu);
    if (waiter->err.code != NX_OK && err)
        *err = waiter->err;
    return waiter->err.code;
}

/* A caller that does not wait, and somebody listens: `done` comes after both the acknowledgement
 * and the notices, so that a drain asked for by `done` covers them. */
struct ticket {
    _Atomic int left; /* of the two; whoever takes the last one calls: acquire-release */
    nx_commit_fn done;
    void *arg;
    struct nx_err err; /* of the commit; code NX_OK on success */
};

static void ticket_step(struct ticket *ticket)
{
    if (atomic_fetch_sub_explicit(&ticket->left, 1, memory_order_acq_rel) > 1)
        return;
    ticket->done(ticket->arg, ticket->err.code == NX_OK ? NULL : &ticket->err);
    free(ticket);
}

static void ticket_acknowledged(void *arg, const struct nx_err *error)
{
    struct ticket *ticket = arg;

    if (error)
        ticket->err = *error;
    ticket_step(ticket);
}

static void write_counters(struct tx *tx)
{
    for (size_t i = 0; i < tx->dir_count; i++)
        if (tx->dirs[i].changed)
            tx_put_counters(tx, tx->dirs[i].ino, &tx->dirs[i].counters);
}

static enum nx_code submit_batch(struct tx *tx, nx_commit_fn done, void *arg, struct nx_err *err)
{
    write_counters(tx);
    tx_feed_begin(tx);
    if (tx->failed != NX_OK)
        return nx_fail(err, tx->failed, "%s", nx_code_text(tx->failed));
    if (nx_batch_count(tx->batch) == 0) {
        done(arg, NULL);
        return NX_OK;
    }
    return nx_engine_submit(tx->db->engine, tx->batch, tx->change.durability, false, done, arg,
                            err);
}

static enum nx_code submit(struct tx *tx, nx_commit_fn done, void *arg, struct nx_err *err)
{
    enum nx_code rc = submit_batch(tx, done, arg, err);

    tx_feed_end(tx);
    return rc;
}

static void emit(struct tx *tx)
{
    const struct tx_event *list = (const struct tx_event *)(const void *)tx->events.data;
    const char *names = (const char *)tx->event_names.data;
    size_t count = tx->events.len / sizeof *list;

    for (size_t i = 0; i < count; i++) {
        struct nx_event event = {
            .type = list[i].type,
            .origin = tx->change.origin,
            .parent = list[i].parent,
            .ino = list[i].ino,
            .name = names + list[i].name_at,
            .to_parent = list[i].to_parent,
            .to_name = names + list[i].to_name_at,
            .kind = list[i].kind,
        };

        events_emit(&tx->db->events, &event, 1);
    }
}

/* Commit, tell, unlock, and wait outside the locks: others may share the log's next sync. */
static enum nx_code finish_waiting(struct tx *tx, struct nx_err *err)
{
    struct waiter waiter = {.is_finished = false};
    enum nx_code rc;

    nx_mutex_init(&waiter.mu, NX_RANK_LEAF);
    nx_cond_init(&waiter.finished);
    rc = submit(tx, wake, &waiter, err);
    if (rc == NX_OK)
        emit(tx);
    unlock(tx);
    if (rc == NX_OK)
        rc = wait_for(&waiter, err);
    nx_cond_fini(&waiter.finished);
    nx_mutex_fini(&waiter.mu);
    return rc;
}

static enum nx_code finish_with_ticket(struct tx *tx, struct nx_err *err)
{
    struct ticket *ticket = calloc(1, sizeof *ticket);
    enum nx_code rc;

    if (!ticket) {
        abandon(tx);
        return nx_fail_nomem(err);
    }
    atomic_init(&ticket->left, 2);
    ticket->done = tx->change.done;
    ticket->arg = tx->change.arg;
    rc = submit(tx, ticket_acknowledged, ticket, err);
    if (rc == NX_OK)
        emit(tx);
    unlock(tx);
    if (rc == NX_OK)
        ticket_step(ticket);
    else
        free(ticket);
    return rc;
}

static enum nx_code finish_unheard(struct tx *tx, struct nx_err *err)
{
    enum nx_code rc = submit(tx, tx->change.done, tx->change.arg, err);

    unlock(tx);
    return rc;
}

enum nx_code tx_finish(struct tx *tx, enum nx_code rc, struct nx_err *err)
{
    if (rc == NX_OK && tx->failed != NX_OK)
        rc = nx_fail(err, tx->failed, "%s", nx_code_text(tx->failed));
    if (rc != NX_OK)
        abandon(tx);
    else if (!tx->change.done)
        rc = finish_waiting(tx, err);
    else if (tx->notify)
        rc = finish_with_ticket(tx, err);
    else
        rc = finish_unheard(tx, err);
    give_back(tx);
    return rc;
}

void tx_cancel(struct tx *tx)
{
    abandon(tx);
    give_back(tx);
}

/* --- directories ------------------------------------------------------------------------------ */

static enum nx_code add_dir(struct tx *tx, struct tx_dir **out, struct nx_err *err)
{
    if (tx->dir_count == tx->dir_cap) {
        size_t cap = tx->dir_cap ? tx->dir_cap * 2 : 4;
        struct tx_dir *dirs = realloc(tx->dirs, cap * sizeof *dirs);

        if (!dirs)
            return nx_fail_nomem(err);
        tx->dirs = dirs;
        tx->dir_cap = cap;
    }
    *out = &tx->dirs[tx->dir_count];
    return NX_OK;
}

enum nx_code tx_dir(struct tx *tx, nx_ino ino, struct tx_dir **out, struct nx_err *err)
{
    struct node node;
    struct tx_dir *dir = NULL;
    enum nx_code rc;

    for (size_t i = 0; i < tx->dir_count; i++)
        if (tx->dirs[i].ino == ino) {
            *out = &tx->dirs[i];
            return NX_OK;
        }
    rc = store_directory(tx->db, NULL, ino, &tx->read, &node, err);
    if (rc == NX_OK)
        rc = add_dir(tx, &dir, err);
    if (rc != NX_OK)
        return rc;
    *dir = (struct tx_dir){.ino = ino, .kind = node.kind};
    rc = store_counters(tx->db, NULL, ino, &dir->counters, err);
    if (rc != NX_OK)
        return rc;
    tx->dir_count++;
    *out = dir;
    return NX_OK;
}

void tx_touch(struct tx *tx, struct tx_dir *dir)
{
    dir->counters.mtime_ns = dir->counters.ctime_ns = tx->now_ns;
    dir->changed = true;
}

/* --- records ---------------------------------------------------------------------------------- */

static void fail(struct tx *tx, enum nx_code rc)
{
    if (tx->failed == NX_OK)
        tx->failed = rc;
}

static void put(struct tx *tx, const struct key *key, struct nx_slice value)
{
    fail(tx, nx_batch_put(tx->batch, key_slice(key), value));
}

static void put_value(struct tx *tx, const struct key *key, enum nx_code encoded)
{
    if (encoded == NX_OK)
        put(tx, key, nx_buf_slice(&tx->value));
    else
        fail(tx, encoded);
}

static void delete (struct tx *tx, const struct key *key)
{
    fail(tx, nx_batch_delete(tx->batch, key_slice(key)));
}

void tx_put_node(struct tx *tx, nx_ino ino, const struct node *node)
{
    struct key key;

    key_of(&key, KEY_NODE, ino);
    nx_buf_clear(&tx->value);
    put_value(tx, &key, node_encode(node, &tx->value));
}

void tx_put_counters(struct tx *tx, nx_ino ino, const struct counters *counters)
{
    struct key key;

    key_of(&key, KEY_COUNTERS, ino);
    nx_buf_clear(&tx->value);
    put_value(tx, &key, counters_encode(counters, &tx->value));
}

void tx_put_document_node(struct tx *tx, nx_ino ino, nx_ino collection, struct nx_slice id)
{
    struct node node = {.kind = NX_KIND_DOCUMENT, .parent = collection, .label = id};

    tx_put_node(tx, ino, &node);
}

void tx_delete(struct tx *tx, enum key_kind kind, uint64_t number)
{
    struct key key;

    key_of(&key, kind, number);
    delete (tx, &key);
}

void tx_put_value(struct tx *tx, enum key_kind kind, uint64_t number, struct nx_slice value)
{
    struct key key;

    key_of(&key, kind, number);
    put(tx, &key, value);
}

void tx_delete_node(struct tx *tx, nx_ino ino)
{
    tx_delete(tx, KEY_NODE, ino);
    if (atomic_load_explicit(&tx->db->xattrs, memory_order_acquire))
        tx_delete(tx, KEY_XATTR, ino);
}

void tx_delete_keys(struct tx *tx, const struct key *begin, const struct key *end)
{
    fail(tx, nx_batch_delete_range(tx->batch, key_slice(begin), key_slice(end)));
}

void tx_delete_all(struct tx *tx, enum key_kind kind, uint64_t number)
{
    struct key begin, end;

    key_of(&begin, kind, number);
    key_of(&end, kind, number + 1);
    tx_delete_keys(tx, &begin, &end);
}

void tx_put_entry(struct tx *tx, nx_ino dir, struct nx_slice name, const struct entry *entry)
{
    struct key key;

    key_of_tail(&key, KEY_ENTRY, dir, name);
    nx_buf_clear(&tx->value);
    put_value(tx, &key, entry_encode(entry, &tx->value));
    key_of_pair(&key, KEY_LISTING, dir, entry->number);
    nx_buf_clear(&tx->value);
    put_value(tx, &key, listing_encode(entry, name, &tx->value));
}

void tx_delete_entry(struct tx *tx, nx_ino dir, struct nx_slice name, uint64_t number)
{
    struct key key;

    key_of_tail(&key, KEY_ENTRY, dir, name);
    delete (tx, &key);
    key_of_pair(&key, KEY_LISTING, dir, number);
    delete (tx, &key);
}

static enum nx_code encode_body(struct tx *tx, struct nx_slice bson, struct nx_slice source)
{
    enum nx_code rc = nx_buf_reserve(&tx->value, bson.len + source.len);

    if (rc != NX_OK)
        return rc;
    nx_buf_append(&tx->value, bson.data, bson.len);
    return nx_buf_append(&tx->value, source.data, source.len);
}

void tx_put_document(struct tx *tx, nx_ino collection, struct nx_slice id,
                     struct doc_header *header, struct nx_slice bson, struct nx_slice source,
                     bool had_large)
{
    bool large = doc_body_bytes(header) > DOC_INLINE_MAX_BYTES;
    struct key key;
    enum nx_code rc;

    header->flags = (uint8_t)((header->flags & ~DOC_LARGE) | (large ? DOC_LARGE : 0));
    key_of_tail(&key, KEY_DOCUMENT, collection, id);
    nx_buf_clear(&tx->value);
    rc = doc_header_encode(header, &tx->value);
    if (rc == NX_OK && !large)
        rc = encode_body(tx, bson, source);
    put_value(tx, &key, rc);
    key.data[0] = KEY_BODY;
    if (large) {
        nx_buf_clear(&tx->value);
        put_value(tx, &key, encode_body(tx, bson, source));
    } else if (had_large) {
        delete (tx, &key);
    }
}

void tx_put_header(struct tx *tx, nx_ino collection, struct nx_slice id,
                   const struct doc_header *header, struct nx_slice body)
{
    struct key key;
    enum nx_code rc;

    key_of_tail(&key, KEY_DOCUMENT, collection, id);
    nx_buf_clear(&tx->value);
    rc = doc_header_encode(header, &tx->value);
    if (rc == NX_OK)
        rc = nx_buf_append(&tx->value, body.data, body.len);
    put_value(tx, &key, rc);
}

void tx_delete_document(struct tx *tx, nx_ino collection, struct nx_slice id, bool had_large)
{
    struct key key;

    key_of_tail(&key, KEY_DOCUMENT, collection, id);
    delete (tx, &key);
    key.data[0] = KEY_BODY;
    if (had_large)
        delete (tx, &key);
}

void tx_put_chunk(struct tx *tx, nx_ino ino, uint64_t number, struct nx_slice data)
{
    struct key key;

    key_of_pair(&key, KEY_CHUNK, ino, number);
    put(tx, &key, data);
}

void tx_put_mark(struct tx *tx, enum key_kind kind, uint64_t number)
{
    tx_put_value(tx, kind, number, NX_SLICE_NULL);
}

void tx_delete_chunk(struct tx *tx, nx_ino ino, uint64_t number)
{
    struct key key;

    key_of_pair(&key, KEY_CHUNK, ino, number);
    delete (tx, &key);
}

/* --- notices ---------------------------------------------------------------------------------- */

static size_t add_name(struct tx *tx, struct nx_slice name)
{
    size_t at = tx->event_names.len;

    fail(tx, nx_buf_append(&tx->event_names, name.data, name.len));
    fail(tx, nx_buf_append_byte(&tx->event_names, 0));
    return at;
}

static void add_event(struct tx *tx, const struct tx_event *event)
{
    fail(tx, nx_buf_append(&tx->events, event, sizeof *event));
}

static void add_named(struct tx *tx, struct tx_event *event, struct nx_slice name,
                      struct nx_slice to_name)
{
    if (!tx->notify)
        return;
    event->name_at = add_name(tx, name);
    event->to_name_at = add_name(tx, to_name);
    add_event(tx, event);
}

void tx_event(struct tx *tx, enum nx_event_type type, enum nx_kind kind, nx_ino ino, nx_ino parent,
              struct nx_slice name)
{
    struct tx_event event = {.type = type, .kind = kind, .ino = ino, .parent = parent};

    add_named(tx, &event, name, NX_SLICE_NULL);
}

void tx_event_rename(struct tx *tx, enum nx_kind kind, nx_ino ino, nx_ino parent,
                     struct nx_slice name, nx_ino to_parent, struct nx_slice to_name)
{
    struct tx_event event = {.type = NX_EVENT_RENAME,
                             .kind = kind,
                             .ino = ino,
                             .parent = parent,
                             .to_parent = to_parent};

    add_named(tx, &event, name, to_name);
}

void tx_event_document(struct tx *tx, enum nx_event_type type, const struct doc_header *header,
                       nx_ino collection, struct nx_slice id_key)
{
    struct tx_event event = {
        .type = type,
        .kind = header->flags & DOC_DRAFT ? NX_KIND_DRAFT : NX_KIND_DOCUMENT,
        .ino = header->ino,
        .parent = collection,
        .name_at = tx->event_names.len,
    };
    struct nx_id id;

    if (!tx->notify)
        return;
    fail(tx, nx_id_from_key(id_key, &id));
    fail(tx, nx_id_to_name(&id, &tx->event_names));
    event.to_name_at = tx->event_names.len; /* the NUL */
    fail(tx, nx_buf_append_byte(&tx->event_names, 0));
    add_event(tx, &event);
}
