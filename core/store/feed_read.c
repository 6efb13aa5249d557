/* feed_read.c - reading the feed: rows from a picture, paths as they were then.
 *
 * A row tells a directory by its number. What it was called at a place of the feed is the first
 * label behind that place, which the batch of its next rename or its drop left; without one, it is
 * what it is called now. Rows and names are read from one picture. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "store/store.h"

#define PATH_MAX_LEVELS 4096

struct nx_feed {
    struct nx_db *db;
    nx_ino collection; /* 0: all */
    uint64_t position; /* nothing up to it is read again */
    uint64_t time_ms;  /* of the row that it lies in or behind */
    uint64_t floor;    /* the next row is not before it; 0: wherever the feed begins */
    uint64_t seen_end; /* everything before it has been read */
    /* while it reads: */
    struct nx_snapshot *snapshot; /* owned, as the iterators; NULL: not reading */
    struct nx_iter *rows, *labels;
    uint64_t end;
    uint64_t row; /* position of the row that `rows` stands on */
    size_t at;    /* of the next change in it */
    nx_ino dir;   /* of the change before */
    /* of the change that was given out: */
    struct nx_buf path, to;
    nx_ino path_dir; /* whose `path` is, in this row; 0: nobody's */
};

static const char *const op_names[] = {
    [NX_FEED_INSERT] = "insert", [NX_FEED_UPDATE] = "update", [NX_FEED_DELETE] = "delete",
    [NX_FEED_CREATE] = "create", [NX_FEED_RENAME] = "rename", [NX_FEED_DROP] = "drop",
};
_Static_assert(sizeof op_names / sizeof op_names[0] == NX_FEED_OPS, "a name for each");

const char *nx_feed_op_name(enum nx_feed_op op)
{
    return op_names[op];
}

/* --- the picture ------------------------------------------------------------------------------ */

static void stop_reading(struct nx_feed *feed)
{
    nx_iter_close(feed->rows);
    nx_iter_close(feed->labels);
    if (feed->snapshot)
        nx_snapshot_release(feed->snapshot);
    feed->rows = feed->labels = NULL;
    feed->snapshot = NULL;
}

static enum nx_code open_kind(struct nx_feed *feed, enum key_kind kind, const struct key *lower,
                              const struct key *upper, struct nx_iter **out, struct nx_err *err)
{
    struct nx_range range = {.snapshot = feed->snapshot,
                             .lower = key_slice(lower),
                             .upper = key_slice(upper),
                             .keep_cache = kind == KEY_LABEL};

    return nx_iter_open(feed->db->engine, &range, out, err);
}

static enum nx_code open_iterators(struct nx_feed *feed, struct nx_err *err)
{
    struct key lower, upper;
    enum nx_code rc;

    key_of_kind(&lower, KEY_CHANGES);
    key_of(&upper, KEY_CHANGES, feed->end);
    rc = open_kind(feed, KEY_CHANGES, &lower, &upper, &feed->rows, err);
    if (rc != NX_OK)
        return rc;
    key_of_kind(&lower, KEY_LABEL);
    key_of_kind(&upper, KEY_LABEL + 1u);
    return open_kind(feed, KEY_LABEL, &lower, &upper, &feed->labels, err);
}

static enum nx_code take_picture(struct nx_feed *feed, struct nx_err *err)
{
    feed->end = nx_feed_end(feed->db); /* before the picture: all that is below is in it */
    feed->snapshot = nx_snapshot_take(feed->db->engine);
    if (!feed->snapshot)
        return nx_fail_nomem(err);
    return open_iterators(feed, err);
}

static enum nx_code too_late(struct nx_err *err)
{
    return nx_fail(err, NX_ENODATA, "the change feed no longer goes back to that place");
}

/* --- rows ------------------------------------------------------------------------------------- */

static enum nx_code corrupt_row(const struct nx_feed *feed, struct nx_err *err)
{
    return nx_fail(err, NX_ECORRUPT, "the change feed cannot be read at %" PRIu64, feed->row);
}

/* Stand at the start of the row that `rows` is on. */
static enum nx_code enter_row(struct nx_feed *feed, struct nx_err *err)
{
    struct nx_slice tail, value = nx_iter_value(feed->rows);

    if (!key_split(nx_iter_key(feed->rows), &feed->row, &tail) || tail.len ||
        value.len < FEED_HEAD_BYTES)
        return corrupt_row(feed, err);
    feed->time_ms = get_u64le(value.data);
    feed->floor = feed->row;
    feed->at = FEED_HEAD_BYTES;
    feed->dir = feed->path_dir = 0;
    return NX_OK;
}

static enum nx_code after_rows(struct nx_feed *feed, struct nx_err *err)
{
    enum nx_code rc = nx_iter_status(feed->rows, err);

    if (rc != NX_OK)
        return rc;
    feed->position = feed->end - 1;
    feed->floor = feed->seen_end = feed->end;
    stop_reading(feed);
    return NX_DONE;
}

static enum nx_code first_row(struct nx_feed *feed, struct nx_err *err)
{
    uint64_t start;
    struct key key;
    enum nx_code rc = take_picture(feed, err);

    if (rc != NX_OK)
        return rc;
    start = nx_feed_start(feed->db); /* behind the picture: see feed.c */
    if (feed->floor && start > feed->floor)
        return too_late(err);
    key_of(&key, KEY_CHANGES, feed->floor > start ? feed->floor : start);
    return nx_iter_seek(feed->rows, key_slice(&key)) ? enter_row(feed, err) : after_rows(feed, err);
}

static enum nx_code next_row(struct nx_feed *feed, struct nx_err *err)
{
    return nx_iter_next(feed->rows) ? enter_row(feed, err) : after_rows(feed, err);
}

/* The change at `*at`, whoever's it is; `*dir`: of the one before it. False: the row is damaged. */
static bool decode(struct nx_slice row, size_t *offset, nx_ino *dir, struct nx_feed_change *out)
{
    const uint8_t *at = row.data + *offset, *end = row.data + row.len;
    uint64_t len = 0;
    uint8_t op = *at++;

    if (!(op & FEED_SAME_DIR) && !(at = get_varint(at, end, dir)))
        return false;
    op &= (uint8_t)~FEED_SAME_DIR;
    if (op >= NX_FEED_OPS || *dir == 0)
        return false;
    out->op = op;
    out->collection = *dir;
    out->id.len = 0;
    if (op <= NX_FEED_DELETE) {
        if (!(at = get_varint(at, end, &len)) || len > (uint64_t)(end - at) ||
            nx_id_from_key(nx_slice(at, len), &out->id) != NX_OK)
            return false;
        at += len;
    }
    *offset = (size_t)(at - row.data);
    return true;
}

bool feed_row_is_whole(struct nx_slice value)
{
    struct nx_feed_change change;
    size_t at = FEED_HEAD_BYTES;
    nx_ino dir = 0;

    while (at < value.len)
        if (!decode(value, &at, &dir, &change))
            return false;
    return at == value.len && at > FEED_HEAD_BYTES;
}

/* --- paths ------------------------------------------------------------------------------------ */

/* What the directory was called before `position`, and where it was. Borrowed. */
static enum nx_code label_at(struct nx_feed *feed, nx_ino dir, uint64_t position,
                             struct nx_buf *buf, nx_ino *parent, struct nx_slice *name,
                             struct nx_err *err)
{
    struct key key;
    struct nx_slice tail;
    struct node node;
    uint64_t found;
    enum nx_code rc;

    key_of_pair(&key, KEY_LABEL, dir, position);
    if (nx_iter_seek(feed->labels, key_slice(&key)) &&
        key_split(nx_iter_key(feed->labels), &found, &tail) && found == dir) {
        struct nx_slice value = nx_iter_value(feed->labels);
        const uint8_t *at = get_varint(value.data, value.data + value.len, parent);

        if (!at)
            return corrupt_row(feed, err);
        *name = nx_slice(at, (size_t)(value.data + value.len - at));
        return NX_OK;
    }
    key_of(&key, KEY_NODE, dir); /* also one in the trash */
    rc = nx_iter_status(feed->labels, err);
    if (rc == NX_OK)
        rc = store_get(feed->db, feed->snapshot, &key, buf, err);
    if (rc == NX_OK && (!node_decode(nx_buf_slice(buf), &node) || !node_is_directory(&node)))
        rc = corrupt_row(feed, err);
    *parent = rc == NX_OK ? node.parent : 0;
    *name = rc == NX_OK ? node.label : NX_SLICE_NULL;
    return rc;
}

static enum nx_code prepend(struct nx_buf *path, struct nx_slice name)
{
    size_t old = path->len, extra = name.len + 1;
    enum nx_code rc = nx_buf_resize(path, old + extra);

    if (rc != NX_OK)
        return rc;
    memmove(path->data + extra, path->data, old);
    memcpy(path->data, name.data, name.len);
    path->data[name.len] = old ? '/' : 0;
    return NX_OK;
}

/* NUL-terminated. */
static enum nx_code path_at(struct nx_feed *feed, nx_ino dir, uint64_t position,
                            struct nx_buf *path, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = NX_OK;

    nx_buf_clear(path);
    for (unsigned level = 0; dir != NX_ROOT_INO && rc == NX_OK; level++) {
        struct nx_slice name;
        nx_ino parent;

        rc = label_at(feed, dir, position, &buf, &parent, &name, err);
        if (rc == NX_OK && level == PATH_MAX_LEVELS)
            rc = corrupt_row(feed, err);
        if (rc == NX_OK && prepend(path, name) != NX_OK)
            rc = nx_fail_nomem(err);
        dir = parent;
    }
    return rc;
}

static enum nx_code find_paths(struct nx_feed *feed, struct nx_feed_change *out, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    if (feed->path_dir != out->collection)
        rc = path_at(feed, out->collection, feed->row, &feed->path, err);
    feed->path_dir = rc == NX_OK ? out->collection : 0;
    if (rc == NX_OK && out->op == NX_FEED_RENAME)
        rc = path_at(feed, out->collection, feed->row + 1, &feed->to, err);
    if (rc != NX_OK)
        return rc;
    out->path = (const char *)feed->path.data;
    out->to = out->op == NX_FEED_RENAME ? (const char *)feed->to.data : NULL;
    return NX_OK;
}

/* --- the face --------------------------------------------------------------------------------- */

static enum nx_code next(struct nx_feed *feed, struct nx_feed_change *out, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    if (!feed->snapshot)
        rc = first_row(feed, err);
    while (rc == NX_OK) {
        struct nx_slice row = nx_iter_value(feed->rows);

        out->position = feed->row + feed->at;
        if (feed->at >= row.len) {
            rc = next_row(feed, err);
        } else if (!decode(row, &feed->at, &feed->dir, out)) {
            rc = corrupt_row(feed, err);
        } else if (out->position > feed->position) {
            feed->position = out->position;
            if (!feed->collection || feed->collection == out->collection)
                return find_paths(feed, out, err);
        }
    }
    return rc;
}

enum nx_code nx_feed_next(struct nx_feed *feed, struct nx_feed_change *out, struct nx_err *err)
{
    enum nx_code rc;

    if (!feed->snapshot && feed->seen_end && nx_feed_end(feed->db) <= feed->seen_end)
        return NX_DONE;
    do /* the picture may be an old one */
        rc = next(feed, out, err);
    while (rc == NX_DONE && nx_feed_end(feed->db) > feed->seen_end);
    if (rc != NX_OK)
        stop_reading(feed);
    return rc;
}

void nx_feed_rest(struct nx_feed *feed)
{
    stop_reading(feed);
}

uint64_t nx_feed_position(const struct nx_feed *feed)
{
    return feed->position;
}

/* --- tokens: the position, and 32 bits of the time of the row there ----------------------------
 */

void nx_feed_token(const struct nx_feed *feed, char token[NX_FEED_TOKEN_BYTES])
{
    if (feed->position == 0 || feed->time_ms == 0)
        snprintf(token, NX_FEED_TOKEN_BYTES, "0");
    else
        snprintf(token, NX_FEED_TOKEN_BYTES, "%016" PRIx64 "%08x", feed->position,
                 (uint32_t)feed->time_ms);
}

static bool parse_token(const char *token, uint64_t *position, uint32_t *time)
{
    char high[17];

    if (strlen(token) != NX_FEED_TOKEN_BYTES - 1 ||
        strspn(token, "0123456789abcdef") != NX_FEED_TOKEN_BYTES - 1)
        return false;
    memcpy(high, token, 16);
    high[16] = 0;
    *position = strtoull(high, NULL, 16);
    *time = (uint32_t)strtoul(token + 16, NULL, 16);
    return *position > 0 && *position < UINT64_MAX;
}

/* Stand after `position`, in the last row that does not lie behind it. NX_ENOTFOUND: there is none.
 * Behind the row's end there may have been positions that came to nothing: they are given again
 * after a restart, so they are no part of it. */
static enum nx_code stand_after(struct nx_feed *feed, uint64_t position, struct nx_err *err)
{
    struct key key;
    enum nx_code rc = take_picture(feed, err);

    if (rc != NX_OK)
        return rc;
    key_of(&key, KEY_CHANGES, position);
    if (nx_iter_seek_for_prev(feed->rows, key_slice(&key))) {
        uint64_t last;

        rc = enter_row(feed, err);
        last = feed->row + FEED_KEY_BYTES + nx_iter_value(feed->rows).len - 1;
        feed->position = position < last ? position : last;
    } else {
        rc = nx_iter_status(feed->rows, err);
        rc = rc == NX_OK ? NX_ENOTFOUND : rc;
    }
    stop_reading(feed);
    return rc;
}

static enum nx_code resume(struct nx_feed *feed, const char *token, struct nx_err *err)
{
    uint64_t position;
    uint32_t time;
    enum nx_code rc;

    if (!parse_token(token, &position, &time))
        return nx_fail(err, NX_EINVAL, "'%.40s' is no token of the change feed", token);
    rc = stand_after(feed, position, err);
    if (rc == NX_ENOTFOUND || (rc == NX_OK && (uint32_t)feed->time_ms != time))
        return too_late(err);
    return rc;
}

static enum nx_code begin_now(struct nx_feed *feed, struct nx_err *err)
{
    uint64_t end = nx_feed_end(feed->db);
    enum nx_code rc = stand_after(feed, end - 1, err);

    if (rc != NX_OK && rc != NX_ENOTFOUND)
        return rc;
    feed->floor = feed->seen_end = end;
    return NX_OK;
}

enum nx_code nx_feed_open(struct nx_db *db, nx_ino collection, const char *token,
                          struct nx_feed **out, struct nx_err *err)
{
    struct nx_feed *feed;
    enum nx_code rc = NX_OK;

    *out = NULL;
    feed = calloc(1, sizeof *feed);
    if (!feed)
        return nx_fail_nomem(err);
    feed->db = db;
    feed->collection = collection;
    if (!token)
        rc = begin_now(feed, err);
    else if (strcmp(token, "0") != 0)
        rc = resume(feed, token, err);
    if (rc == NX_OK)
        *out = feed;
    else
        nx_feed_close(feed);
    return rc;
}

void nx_feed_close(struct nx_feed *feed)
{
    if (!feed)
        return;
    stop_reading(feed);
    nx_buf_fini(&feed->path);
    nx_buf_fini(&feed->to);
    free(feed);
}
