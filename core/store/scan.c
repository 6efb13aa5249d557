/* scan.c - the documents of one collection in _id order, in one picture. Inline bodies come with
 * the scan; a large one is fetched by its key. */
#include <stdlib.h>

#include "store/body.h"
#include "store/store.h"

struct nx_scan {
    struct nx_db *db;
    const struct nx_snapshot *snapshot;
    struct nx_snapshot *own; /* owned; NULL when the caller gave one */
    struct nx_iter *iter;    /* owned */
    nx_ino collection;
    bool backward, started;
    struct nx_buf bson;  /* what the last document borrows */
    struct nx_buf large; /* a body from KEY_BODY */
};

void nx_scan_close(struct nx_scan *scan)
{
    if (!scan)
        return;
    nx_iter_close(scan->iter);
    if (scan->own)
        nx_snapshot_release(scan->own);
    nx_buf_fini(&scan->bson);
    nx_buf_fini(&scan->large);
    free(scan);
}

/* The key of a bound; right after it when `after`, by the byte that sorts first behind it. */
struct bound {
    size_t len;
    uint8_t data[KEY_MAX_BYTES + 1];
};

static void set_bound(struct bound *bound, nx_ino collection, const struct nx_id *id, bool after)
{
    struct key key;

    if (id)
        key_of_tail(&key, KEY_DOCUMENT, collection, id_slice(id));
    else
        key_of(&key, KEY_DOCUMENT, collection);
    memcpy(bound->data, key.data, key.len);
    bound->len = key.len;
    if (after)
        bound->data[bound->len++] = 0;
}

static enum nx_code open_iter(struct nx_scan *scan, const struct nx_scan_range *range,
                              struct nx_err *err)
{
    struct bound lower, upper;
    struct nx_range keys = {.snapshot = scan->snapshot};

    set_bound(&lower, scan->collection, range->lower, range->lower && range->lower_exclusive);
    if (range->upper)
        set_bound(&upper, scan->collection, range->upper, !range->upper_exclusive);
    else
        set_bound(&upper, scan->collection + 1, NULL, false);
    keys.lower = nx_slice(lower.data, lower.len);
    keys.upper = nx_slice(upper.data, upper.len);
    return nx_iter_open(scan->db->engine, &keys, &scan->iter, err);
}

enum nx_code nx_scan_open(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino collection,
                          const struct nx_scan_range *range, struct nx_scan **out,
                          struct nx_err *err)
{
    static const struct nx_scan_range all;
    struct nx_scan *scan;
    enum nx_code rc;

    *out = NULL;
    scan = calloc(1, sizeof *scan);
    if (!scan)
        return nx_fail_nomem(err);
    scan->db = db;
    scan->collection = collection;
    if (!range)
        range = &all;
    scan->backward = range->backward;
    if (!snapshot)
        snapshot = scan->own = nx_snapshot_take(db->engine);
    scan->snapshot = snapshot;
    rc = snapshot ? store_check_alive(db, snapshot, collection, err) : nx_fail_nomem(err);
    if (rc == NX_OK)
        rc = open_iter(scan, range, err);
    if (rc == NX_OK)
        *out = scan;
    else
        nx_scan_close(scan);
    return rc;
}

static bool move(struct nx_scan *scan)
{
    if (scan->started && !nx_iter_valid(scan->iter))
        return false;
    if (scan->started)
        return scan->backward ? nx_iter_prev(scan->iter) : nx_iter_next(scan->iter);
    scan->started = true;
    return scan->backward ? nx_iter_last(scan->iter) : nx_iter_first(scan->iter);
}

static enum nx_code fetch_large(struct nx_scan *scan, struct nx_slice id,
                                const struct doc_header *header, struct nx_slice *body,
                                struct nx_err *err)
{
    struct key key;
    enum nx_code rc;

    key_of_tail(&key, KEY_BODY, scan->collection, id);
    rc = store_get(scan->db, scan->snapshot, &key, &scan->large, err);
    if (rc == NX_ENOTFOUND || (rc == NX_OK && scan->large.len != doc_body_bytes(header)))
        return store_corrupt(err, &key, "document body");
    *body = nx_buf_slice(&scan->large);
    return rc;
}

static enum nx_code read_one(struct nx_scan *scan, bool *is_draft, struct nx_document *out,
                             struct nx_err *err)
{
    struct nx_slice key = nx_iter_key(scan->iter), id, body;
    struct doc_header header;
    nx_ino collection;
    enum nx_code rc = NX_OK;

    if (!key_split(key, &collection, &id) ||
        !doc_header_decode(nx_iter_value(scan->iter), &header, &body))
        return nx_fail(err, NX_ECORRUPT, "a document of collection %llu cannot be read",
                       (unsigned long long)scan->collection);
    *is_draft = header.flags & DOC_DRAFT;
    if (*is_draft)
        return NX_OK;
    if (header.flags & DOC_LARGE)
        rc = fetch_large(scan, id, &header, &body, err);
    if (rc != NX_OK)
        return rc;
    nx_buf_clear(&scan->bson);
    rc = body_append_bson(id, nx_slice(body.data, header.bson_bytes), &scan->bson, err);
    doc_header_attr(&header, collection, &out->attr);
    out->bson = nx_buf_slice(&scan->bson);
    return rc;
}

enum nx_code nx_scan_next(struct nx_scan *scan, struct nx_document *out, struct nx_err *err)
{
    bool is_draft = true;

    while (is_draft) {
        enum nx_code rc;

        if (!move(scan)) {
            rc = nx_iter_status(scan->iter, err);
            return rc == NX_OK ? NX_DONE : rc;
        }
        rc = read_one(scan, &is_draft, out, err);
        if (rc != NX_OK)
            return rc;
    }
    return NX_OK;
}
