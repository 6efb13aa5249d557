/* write.c - lists of document changes. Adding a change does the work that needs no lock: parsing,
 * layout, size. Committing takes the collections' locks, looks at what is there, and writes one
 * batch. */
#include <stdlib.h>
#include <xxhash.h>

#include <nexadb/json.h>

#include "store/body.h"
#include "store/tx.h"

struct item {
    nx_ino collection;
    uint64_t if_revision;
    size_t id_at, bson_at, source_at; /* in data */
    uint32_t bson_bytes, source_bytes, text_bytes;
    uint16_t id_bytes;
    bool is_delete, missing_ok;
    uint8_t flags, layout; /* of a body */
    enum nx_put_mode mode;
    unsigned attr_mask;
    struct nx_attr attr;
};

/* What a document is after a change of the list: for later changes of the same one. */
struct outcome {
    bool exists;
    bool stored_large; /* the engine holds a large body, whatever the list says */
    struct doc_header header;
};

struct nx_write {
    struct nx_db *db;
    struct nx_buf data;
    struct item *items; /* owned */
    size_t count, cap;
    struct body_work work;
    /* of a commit */
    uint32_t *slots; /* owned; open addressing: 1 + the last item of a document */
    size_t slot_count;
    struct outcome *outcomes; /* owned; one an item */
    size_t outcome_cap;
};

enum nx_code nx_write_new(struct nx_db *db, struct nx_write **out, struct nx_err *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return nx_fail_nomem(err);
    (*out)->db = db;
    return NX_OK;
}

void nx_write_free(struct nx_write *write)
{
    if (!write)
        return;
    body_work_fini(&write->work);
    nx_buf_fini(&write->data);
    free(write->items);
    free(write->slots);
    free(write->outcomes);
    free(write);
}

void nx_write_clear(struct nx_write *write)
{
    write->count = 0;
    nx_buf_clear(&write->data);
}

size_t nx_write_count(const struct nx_write *write)
{
    return write->count;
}

size_t nx_write_bytes(const struct nx_write *write)
{
    return write->data.len + write->count * sizeof(struct item);
}

/* --- adding ----------------------------------------------------------------------------------- */

static enum nx_code add_bytes(struct nx_write *write, struct nx_slice bytes, size_t *at)
{
    *at = write->data.len;
    return nx_buf_append(&write->data, bytes.data, bytes.len);
}

static enum nx_code add_item(struct nx_write *write, const struct item *item, struct nx_err *err)
{
    if (write->count == UINT32_MAX - 1)
        return nx_fail(err, NX_ETOOBIG, "a list of %zu changes", write->count);
    if (write->count == write->cap) {
        size_t cap = write->cap ? write->cap * 2 : 8;
        struct item *items = realloc(write->items, cap * sizeof *items);

        if (!items)
            return nx_fail_nomem(err);
        write->items = items;
        write->cap = cap;
    }
    write->items[write->count++] = *item;
    return NX_OK;
}

static enum nx_code make_body(struct nx_write *write, const struct nx_put *put, struct nx_id *id,
                              struct body *body, struct nx_err *err)
{
    struct nx_io *io = write->db->io;

    if ((put->bson.data != NULL) == (put->text.data != NULL))
        return nx_fail(err, NX_EINVAL, "a put takes either BSON or a text");
    if (put->text.data)
        return body_of_text(io, put->text, put->id, &write->work, id, body, err);
    return body_of_bson(io, put->bson, put->id, &write->work, id, body, err);
}

enum nx_code nx_write_put(struct nx_write *write, const struct nx_put *put, struct nx_id *id_out,
                          struct nx_err *err)
{
    struct item item = {
        .collection = put->collection, .mode = put->mode, .if_revision = put->if_revision};
    size_t before = write->data.len;
    struct body body;
    struct nx_id id;
    enum nx_code rc = make_body(write, put, &id, &body, err);

    if (rc != NX_OK)
        return rc;
    if (put->attr) {
        item.attr_mask = put->attr_mask & ~(unsigned)NX_SET_SIZE;
        item.attr = *put->attr;
    }
    item.flags = body.flags;
    item.layout = body.layout;
    item.text_bytes = body.text_bytes;
    item.bson_bytes = (uint32_t)body.bson.len;
    item.source_bytes = (uint32_t)body.source.len;
    item.id_bytes = id.len;
    rc = add_bytes(write, id_slice(&id), &item.id_at);
    if (rc == NX_OK)
        rc = add_bytes(write, body.bson, &item.bson_at);
    if (rc == NX_OK)
        rc = add_bytes(write, body.source, &item.source_at);
    rc = rc == NX_OK ? add_item(write, &item, err) : nx_fail_nomem(err);
    if (rc != NX_OK)
        write->data.len = before;
    else if (id_out)
        *id_out = id;
    return rc;
}

enum nx_code nx_write_delete(struct nx_write *write, nx_ino collection, const struct nx_id *id,
                             uint64_t if_revision, bool missing_ok, struct nx_err *err)
{
    struct item item = {.collection = collection,
                        .is_delete = true,
                        .missing_ok = missing_ok,
                        .if_revision = if_revision,
                        .id_bytes = id->len};

    if (add_bytes(write, id_slice(id), &item.id_at) != NX_OK)
        return nx_fail_nomem(err);
    return add_item(write, &item, err);
}

/* --- what is there ---------------------------------------------------------------------------- */

static struct nx_slice item_id(const struct nx_write *write, const struct item *item)
{
    return nx_slice(write->data.data + item->id_at, item->id_bytes);
}

/* Room for the outcomes, and an empty table when a document may come twice. */
static enum nx_code prepare(struct nx_write *write, struct nx_err *err)
{
    size_t slots = 16;

    if (write->outcome_cap < write->count) {
        struct outcome *outcomes = realloc(write->outcomes, write->count * sizeof *outcomes);

        if (!outcomes)
            return nx_fail_nomem(err);
        write->outcomes = outcomes;
        write->outcome_cap = write->count;
    }
    while (slots < 2 * write->count)
        slots *= 2;
    if (slots != write->slot_count) {
        uint32_t *table = realloc(write->slots, slots * sizeof *table);

        if (!table)
            return nx_fail_nomem(err);
        write->slots = table;
        write->slot_count = slots;
    }
    memset(write->slots, 0, slots * sizeof *write->slots);
    return NX_OK;
}

/* The slot of the item's document: 0, or 1 + the last item before that changes it. */
static uint32_t *find_slot(struct nx_write *write, const struct item *item)
{
    struct nx_slice id = item_id(write, item);
    size_t at = XXH3_64bits_withSeed(id.data, id.len, item->collection) & (write->slot_count - 1);

    for (;; at = (at + 1) & (write->slot_count - 1)) {
        const struct item *other;

        if (write->slots[at] == 0)
            return &write->slots[at];
        other = &write->items[write->slots[at] - 1];
        if (other->collection == item->collection && nx_slice_equal(item_id(write, other), id))
            return &write->slots[at];
    }
}

static enum nx_code current(struct nx_write *write, struct tx *tx, const struct item *item,
                            struct outcome *out, struct nx_err *err)
{
    uint32_t *slot = find_slot(write, item);
    enum nx_code rc;

    if (*slot) {
        *out = write->outcomes[*slot - 1];
        *slot = (uint32_t)(item - write->items) + 1;
        return NX_OK;
    }
    *slot = (uint32_t)(item - write->items) + 1;
    rc = store_header(tx->db, NULL, item->collection, item_id(write, item), &tx->read, &out->header,
                      NULL);
    out->exists = rc == NX_OK;
    out->stored_large = out->exists && out->header.flags & DOC_LARGE;
    if (rc == NX_OK || rc == NX_ENOTFOUND)
        return NX_OK;
    return store_header(tx->db, NULL, item->collection, item_id(write, item), &tx->read,
                        &out->header, err);
}

static bool is_document(const struct outcome *now)
{
    return now->exists && !(now->header.flags & DOC_DRAFT);
}

/* Both doors can say it so: an _id is what a file's name spells. */
static enum nx_code say_id(struct nx_slice id_key, enum nx_code code, const char *what,
                           struct nx_err *err)
{
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_value value;
    struct nx_id id;

    if (nx_id_from_key(id_key, &id) != NX_OK || nx_id_to_document(&id, &doc) != NX_OK)
        return nx_fail(err, code, "the document %s", what);
    value = nx_doc_get_z(nx_buf_slice(&doc), "_id");
    if (nx_json_write_value(&value, NX_JSON_EXACT, &text) != NX_OK)
        return nx_fail(err, code, "the document %s", what);
    return nx_fail(err, code, "the document with _id %.*s %s", NAME_ARG(nx_buf_slice(&text)), what);
}

static enum nx_code check(struct nx_write *write, const struct item *item,
                          const struct outcome *now, struct nx_err *err)
{
    struct nx_slice id = item_id(write, item);
    bool there = is_document(now);

    if (!item->is_delete && item->mode == NX_PUT_INSERT && there)
        return say_id(id, NX_EEXISTS, "exists already", err);
    if (!item->is_delete && item->mode == NX_PUT_REPLACE && !there)
        return say_id(id, NX_ENOTFOUND, "does not exist", err);
    if (item->is_delete && !there && !item->missing_ok)
        return say_id(id, NX_ENOTFOUND, "does not exist", err);
    if (item->if_revision && (!there || now->header.revision != item->if_revision))
        return say_id(id, NX_ECONFLICT, "was changed by another writer", err);
    return NX_OK;
}

/* --- one change ------------------------------------------------------------------------------- */

static void set_metadata(const struct tx *tx, const struct item *item, const struct outcome *now,
                         struct doc_header *header)
{
    const struct nx_attr *attr = &item->attr;
    unsigned mask = item->attr_mask;

    header->mode = now->exists ? now->header.mode : 0644;
    header->uid = now->exists ? now->header.uid : tx->change.uid;
    header->gid = now->exists ? now->header.gid : tx->change.gid;
    header->mtime_ns = header->ctime_ns = header->atime_ns = tx->now_ns;
    if (mask & NX_SET_MODE)
        header->mode = attr->mode & 07777;
    if (mask & NX_SET_UID)
        header->uid = attr->uid;
    if (mask & NX_SET_GID)
        header->gid = attr->gid;
    if (mask & NX_SET_ATIME)
        header->atime_ns = attr->atime_ns;
    if (mask & NX_SET_MTIME)
        header->mtime_ns = attr->mtime_ns;
    if (mask & NX_SET_CTIME)
        header->ctime_ns = attr->ctime_ns;
}

/* A new document's number: the one it had when it was renamed away a moment ago, or `fresh`. */
static nx_ino number_of(struct tx *tx, const struct item *item, struct nx_slice id, nx_ino fresh,
                        bool *updated)
{
    nx_ino old = tx_reborn(tx, item->collection, id, updated);

    return old ? old : fresh;
}

/* `numbers`: two fresh ones, for the node and the revision. */
static void put_one(struct nx_write *write, struct tx *tx, struct tx_dir *dir,
                    const struct item *item, uint64_t numbers, struct outcome *now,
                    struct nx_write_result *result)
{
    const uint8_t *data = write->data.data;
    struct nx_slice id = item_id(write, item);
    bool was_document = is_document(now), was_there = now->exists, updated = was_document;
    struct doc_header header = {.flags = item->flags,
                                .layout = item->layout,
                                .revision = numbers + 1,
                                .text_bytes = item->text_bytes,
                                .bson_bytes = item->bson_bytes};

    set_metadata(tx, item, now, &header);
    if (!was_document)
        header.ino = number_of(tx, item, id, numbers, &updated);
    if (was_there)
        header.ino = now->header.ino;
    tx_put_document(tx, item->collection, id, &header,
                    nx_slice(data + item->bson_at, item->bson_bytes),
                    nx_slice(data + item->source_at, item->source_bytes), now->stored_large);
    if (!was_there) {
        tx_put_document_node(tx, header.ino, item->collection, id);
        tx_touch(tx, dir);
    }
    if (!was_document) {
        dir->counters.documents++;
        dir->counters.drafts -= was_there;
        dir->changed = true;
    }
    result->inserted += !was_document;
    result->replaced += was_document;
    doc_header_attr(&header, item->collection, &result->attr);
    now->stored_large |= header.flags & DOC_LARGE;
    now->exists = true;
    now->header = header;
    tx_change_document(tx, updated, true, item->collection, id);
    tx_event_document(tx, was_there ? NX_EVENT_UPDATE : NX_EVENT_CREATE, &header, item->collection,
                      id);
}

static void delete_one(struct nx_write *write, struct tx *tx, struct tx_dir *dir,
                       const struct item *item, struct outcome *now, struct nx_write_result *result)
{
    struct nx_slice id = item_id(write, item);

    if (!is_document(now))
        return;
    tx_delete_document(tx, item->collection, id, now->stored_large);
    tx_delete_node(tx, now->header.ino);
    dir->counters.documents--;
    tx_touch(tx, dir);
    result->deleted++;
    now->exists = false;
    tx_change_document(tx, true, false, item->collection, id);
    tx_event_document(tx, NX_EVENT_DELETE, &now->header, item->collection, id);
}

static enum nx_code apply_one(struct nx_write *write, struct tx *tx, const struct item *item,
                              uint64_t numbers, struct nx_write_result *result, struct nx_err *err)
{
    struct outcome *now = &write->outcomes[item - write->items];
    struct tx_dir *dir;
    enum nx_code rc = tx_dir(tx, item->collection, &dir, err);

    if (rc == NX_OK && dir->kind != NX_KIND_COLLECTION)
        rc = nx_fail(err, NX_ENOTDIR, "node %llu is not a collection",
                     (unsigned long long)item->collection);
    if (rc == NX_OK)
        rc = current(write, tx, item, now, err);
    if (rc == NX_OK)
        rc = check(write, item, now, err);
    if (rc != NX_OK)
        return rc;
    if (item->is_delete)
        delete_one(write, tx, dir, item, now, result);
    else
        put_one(write, tx, dir, item, numbers, now, result);
    return NX_OK;
}

/* --- commit ----------------------------------------------------------------------------------- */

static uint64_t stripes_of(const struct nx_write *write)
{
    uint64_t set = 0;

    for (size_t i = 0; i < write->count; i++)
        set |= stripe_of(write->items[i].collection);
    return set;
}

static enum nx_code apply(struct nx_write *write, struct tx *tx, struct nx_write_result *result,
                          struct nx_err *err)
{
    uint64_t numbers = 0;
    enum nx_code rc = numbers_take(&tx->db->numbers, 2 * write->count, &numbers, err);

    for (size_t i = 0; rc == NX_OK && i < write->count; i++) {
        rc = apply_one(write, tx, &write->items[i], numbers + 2 * i, result, err);
        if (rc != NX_OK && err)
            err->index = (int64_t)i;
    }
    return rc;
}

static bool only_deletes(const struct nx_write *write)
{
    for (size_t i = 0; i < write->count; i++)
        if (!write->items[i].is_delete)
            return false;
    return true;
}

enum nx_code nx_write_commit(struct nx_write *write, const struct nx_change *change,
                             struct nx_write_result *result, struct nx_err *err)
{
    struct nx_write_result own;
    struct tx *tx;
    enum nx_code rc = prepare(write, err);

    if (!result)
        result = &own;
    *result = (struct nx_write_result){0};
    if (rc == NX_OK)
        rc = tx_begin(write->db, change, false, &tx, err);
    if (rc != NX_OK)
        return rc;
    if (only_deletes(write))
        nx_batch_mark_reclaiming(tx->batch);
    tx_lock(tx, stripes_of(write));
    rc = apply(write, tx, result, err);
    return tx_finish(tx, rc, err);
}
