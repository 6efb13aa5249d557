/* verify.c - the invariants of the store, each checked on every record of one picture.
 *
 *   I1  a document's number leads to its node, and the node back to the document
 *   I2  a plain entry has a listing entry and a node of its kind; a directory's node leads back to
 * it I3  a plain node has as many entries as its link count; without one it is marked as an orphan
 *   I4  a directory's counters are the number of its documents, drafts, entries and subdirectories
 *   I5  a large document has a body of its length, and there is no other body
 *   I6  data belongs to a plain file and lies before its tail, and the file counts its pieces
 *   I7  a directory in the trash is marked there, and only such
 *   I8  every number was given: it is below the reserved one
 *   I9  a document's BSON is valid and its text has the length that its header says
 *   I10 extended attributes belong to a node and are in order
 *   I11 rows of the feed and former names can be decoded, and no row reaches into the next */
#include <inttypes.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "store/body.h"
#include "store/file.h"
#include "store/meta.h"
#include "store/xattr.h"

struct verify {
    struct nx_db *db;
    struct nx_snapshot *snapshot;    /* owned */
    uint64_t next;                   /* I8 */
    uint64_t file, found, counted;   /* I6: pieces of the file that the pass is in */
    uint64_t all_found, all_counted; /* of all files */
    uint64_t feed_end;               /* I11: where the row before ends */
    struct nx_buf links;             /* uint64_t: the node of every plain entry, sorted */
    struct nx_buf buf, text, whole;
};

typedef enum nx_code (*check_fn)(struct verify *v, uint64_t number, struct nx_slice tail,
                                 struct nx_slice value, struct nx_err *err);

#define BROKEN(err, ...) nx_fail((err), NX_ECORRUPT, __VA_ARGS__)

/* --- helpers ---------------------------------------------------------------------------------- */

static bool has_key(struct verify *v, const struct key *key)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    return store_get(v->db, v->snapshot, key, &buf, NULL) == NX_OK;
}

static bool has_mark(struct verify *v, enum key_kind kind, uint64_t number)
{
    struct key key;

    key_of(&key, kind, number);
    return has_key(v, &key);
}

/* A node, in the trash or not; false when there is none or it cannot be read. */
static bool any_node(struct verify *v, nx_ino ino, struct nx_buf *buf, struct node *out)
{
    struct key key;

    key_of(&key, KEY_NODE, ino);
    return store_get(v->db, v->snapshot, &key, buf, NULL) == NX_OK &&
           node_decode(nx_buf_slice(buf), out);
}

typedef enum nx_code (*each_fn)(void *arg, struct nx_slice key, struct nx_slice value,
                                struct nx_err *err);

static enum nx_code each(struct verify *v, const struct key *lower, const struct key *upper,
                         each_fn fn, void *arg, struct nx_err *err)
{
    struct nx_range range = {
        .lower = key_slice(lower), .upper = key_slice(upper), .snapshot = v->snapshot};
    struct nx_iter *iter;
    enum nx_code rc = nx_iter_open(v->db->engine, &range, &iter, err);

    if (rc != NX_OK)
        return rc;
    for (bool ok = nx_iter_first(iter); ok && rc == NX_OK; ok = nx_iter_next(iter))
        rc = fn(arg, nx_iter_key(iter), nx_iter_value(iter), err);
    if (rc == NX_OK)
        rc = nx_iter_status(iter, err);
    nx_iter_close(iter);
    return rc;
}

/* --- nodes ------------------------------------------------------------------------------------ */

static enum nx_code check_document_node(struct verify *v, nx_ino ino, const struct node *node,
                                        struct nx_err *err)
{
    struct doc_header header;
    enum nx_code rc =
        store_header(v->db, v->snapshot, node->parent, node->label, &v->text, &header, NULL);

    if (rc != NX_OK || header.ino != ino)
        return BROKEN(err, "node %" PRIu64 " has no document in collection %" PRIu64 " (I1)", ino,
                      node->parent);
    return NX_OK;
}

static enum nx_code check_directory_node(struct verify *v, nx_ino ino, const struct node *node,
                                         struct nx_err *err)
{
    struct entry entry;

    if (!has_mark(v, KEY_COUNTERS, ino))
        return BROKEN(err, "directory %" PRIu64 " has no counters (I4)", ino);
    if (node->flags & NODE_DROPPED)
        return has_mark(v, KEY_TRASH, ino)
                   ? NX_OK
                   : BROKEN(err, "dropped directory %" PRIu64 " is not in the trash (I7)", ino);
    if (ino == NX_ROOT_INO)
        return NX_OK;
    if (store_entry(v->db, v->snapshot, node->parent, node->label, &entry, NULL) != NX_OK ||
        entry.ino != ino)
        return BROKEN(err, "directory %" PRIu64 " ('%.*s') has no entry in %" PRIu64 " (I2)", ino,
                      NAME_ARG(node->label), node->parent);
    return NX_OK;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static uint64_t link_at(const struct verify *v, size_t i)
{
    uint64_t ino;

    memcpy(&ino, v->links.data + i * sizeof ino, sizeof ino);
    return ino;
}

static uint32_t count_links(const struct verify *v, nx_ino ino)
{
    size_t low = 0, high = v->links.len / sizeof(uint64_t), total = high;
    uint32_t count = 0;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (link_at(v, middle) < ino)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < total && link_at(v, low) == ino; low++)
        count++;
    return count;
}

static enum nx_code check_plain_node(struct verify *v, nx_ino ino, const struct node *node,
                                     struct nx_err *err)
{
    uint32_t links = count_links(v, ino);

    v->all_counted += node->pieces;
    if (links != node->nlink)
        return BROKEN(err, "node %" PRIu64 " has %u names and a link count of %u (I3)", ino, links,
                      node->nlink);
    if (links == 0 && !has_mark(v, KEY_ORPHAN, ino))
        return BROKEN(err, "node %" PRIu64 " has no name and is no orphan (I3)", ino);
    return NX_OK;
}

static enum nx_code check_node(struct verify *v, uint64_t ino, struct nx_slice tail,
                               struct nx_slice value, struct nx_err *err)
{
    struct node node;

    if (tail.len != 0 || !node_decode(value, &node))
        return BROKEN(err, "node %" PRIu64 " cannot be read", ino);
    if (ino >= v->next)
        return BROKEN(err, "node %" PRIu64 " is beyond the numbers given, %" PRIu64 " (I8)", ino,
                      v->next);
    if (node.kind == NX_KIND_DOCUMENT)
        return check_document_node(v, ino, &node, err);
    if (node_is_directory(&node))
        return check_directory_node(v, ino, &node, err);
    return check_plain_node(v, ino, &node, err);
}

/* --- entries ---------------------------------------------------------------------------------- */

static enum nx_code check_entry(struct verify *v, uint64_t dir, struct nx_slice name,
                                struct nx_slice value, struct nx_err *err)
{
    struct entry entry, listed;
    struct nx_slice listed_name;
    struct key key;
    struct node node;
    bool in_trash, is_directory;

    if (!entry_decode(value, &entry))
        return BROKEN(err, "entry '%.*s' of directory %" PRIu64 " cannot be read", NAME_ARG(name),
                      dir);
    key_of_pair(&key, KEY_LISTING, dir, entry.number);
    if (store_get(v->db, v->snapshot, &key, &v->buf, NULL) != NX_OK ||
        !listing_decode(nx_buf_slice(&v->buf), &listed, &listed_name) || listed.ino != entry.ino ||
        listed.kind != entry.kind || !nx_slice_equal(listed_name, name))
        return BROKEN(err, "entry '%.*s' of directory %" PRIu64 " is not listed (I2)",
                      NAME_ARG(name), dir);
    if (entry.number >= v->next)
        return BROKEN(err, "entry '%.*s' has number %" PRIu64 " of %" PRIu64 " (I8)",
                      NAME_ARG(name), entry.number, v->next);
    if (!any_node(v, dir, &v->buf, &node) || !node_is_directory(&node))
        return BROKEN(err, "entry '%.*s' is in %" PRIu64 ", no directory (I2)", NAME_ARG(name),
                      dir);
    in_trash = node.flags & NODE_DROPPED;
    is_directory = entry.kind == NX_KIND_COLLECTION || entry.kind == NX_KIND_DIRECTORY;
    if (in_trash && is_directory) /* emptied on its own, sooner or later than this one */
        return NX_OK;
    if (!any_node(v, entry.ino, &v->buf, &node) || node.kind != entry.kind)
        return BROKEN(err, "entry '%.*s' of directory %" PRIu64 " has no node (I2)", NAME_ARG(name),
                      dir);
    if (is_directory && (node.parent != dir || node.flags & NODE_DROPPED))
        return BROKEN(err, "directory '%.*s' in %" PRIu64 " is not there (I2)", NAME_ARG(name),
                      dir);
    if (is_directory)
        return NX_OK;
    return nx_buf_append(&v->links, &entry.ino, sizeof entry.ino) == NX_OK ? NX_OK
                                                                           : nx_fail_nomem(err);
}

static enum nx_code check_listing(struct verify *v, uint64_t dir, struct nx_slice tail,
                                  struct nx_slice value, struct nx_err *err)
{
    struct entry listed, entry;
    struct nx_slice name;

    if (tail.len != 8 || !listing_decode(value, &listed, &name))
        return BROKEN(err, "the listing of directory %" PRIu64 " cannot be read", dir);
    if (store_entry(v->db, v->snapshot, dir, name, &entry, NULL) != NX_OK ||
        entry.ino != listed.ino || entry.number != key_number(tail))
        return BROKEN(err, "'%.*s' is listed in directory %" PRIu64 " but not found (I2)",
                      NAME_ARG(name), dir);
    return NX_OK;
}

/* --- counters --------------------------------------------------------------------------------- */

static enum nx_code count_entry(void *arg, struct nx_slice key, struct nx_slice value,
                                struct nx_err *err)
{
    struct counters *found = arg;
    struct entry entry;

    (void)key;
    if (!entry_decode(value, &entry))
        return BROKEN(err, "an entry cannot be read");
    found->entries++;
    found->subdirectories += entry.kind == NX_KIND_COLLECTION || entry.kind == NX_KIND_DIRECTORY;
    return NX_OK;
}

static enum nx_code count_document(void *arg, struct nx_slice key, struct nx_slice value,
                                   struct nx_err *err)
{
    struct counters *found = arg;
    struct doc_header header;
    struct nx_slice body;

    (void)key;
    if (!doc_header_decode(value, &header, &body))
        return BROKEN(err, "a document cannot be read");
    found->drafts += header.flags & DOC_DRAFT ? 1 : 0;
    found->documents += header.flags & DOC_DRAFT ? 0 : 1;
    return NX_OK;
}

static enum nx_code count_range(struct verify *v, enum key_kind kind, nx_ino dir, each_fn fn,
                                struct counters *found, struct nx_err *err)
{
    struct key lower, upper;

    key_of(&lower, kind, dir);
    key_of(&upper, kind, dir + 1);
    return each(v, &lower, &upper, fn, found, err);
}

static enum nx_code compare_counter(nx_ino dir, const char *what, uint64_t stored, uint64_t found,
                                    struct nx_err *err)
{
    if (stored == found)
        return NX_OK;
    return BROKEN(err, "directory %" PRIu64 " counts %" PRIu64 " %s and has %" PRIu64 " (I4)", dir,
                  stored, what, found);
}

static enum nx_code check_counters(struct verify *v, uint64_t dir, struct nx_slice tail,
                                   struct nx_slice value, struct nx_err *err)
{
    struct counters stored, found = {0};
    struct node node;
    enum nx_code rc;

    if (tail.len != 0 || !counters_decode(value, &stored))
        return BROKEN(err, "the counters of directory %" PRIu64 " cannot be read", dir);
    if (!any_node(v, dir, &v->buf, &node) || !node_is_directory(&node))
        return BROKEN(err, "counters of %" PRIu64 ", no directory (I4)", dir);
    if (node.flags & NODE_DROPPED)
        return NX_OK;
    rc = count_range(v, KEY_ENTRY, dir, count_entry, &found, err);
    if (rc == NX_OK)
        rc = count_range(v, KEY_DOCUMENT, dir, count_document, &found, err);
    if (rc == NX_OK)
        rc = compare_counter(dir, "entries", stored.entries, found.entries, err);
    if (rc == NX_OK)
        rc = compare_counter(dir, "subdirectories", stored.subdirectories, found.subdirectories,
                             err);
    if (rc == NX_OK)
        rc = compare_counter(dir, "documents", stored.documents, found.documents, err);
    return rc == NX_OK ? compare_counter(dir, "drafts", stored.drafts, found.drafts, err) : rc;
}

/* --- data ------------------------------------------------------------------------------------- */

/* At a file's first piece, and after the last of all. */
static enum nx_code end_file(struct verify *v, struct nx_err *err)
{
    if (v->found == v->counted)
        return NX_OK;
    return BROKEN(err,
                  "file %" PRIu64 " counts %" PRIu64 " pieces of data and has %" PRIu64 " (I6)",
                  v->file, v->counted, v->found);
}

static enum nx_code end_files(struct verify *v, struct nx_err *err)
{
    enum nx_code rc = end_file(v, err);

    if (rc == NX_OK && v->all_found != v->all_counted)
        return BROKEN(err, "files count %" PRIu64 " pieces of data and have %" PRIu64 " (I6)",
                      v->all_counted, v->all_found);
    return rc;
}

static enum nx_code check_chunk(struct verify *v, uint64_t ino, struct nx_slice tail,
                                struct nx_slice value, struct nx_err *err)
{
    struct node node;
    uint64_t number;
    enum nx_code rc = ino == v->file ? NX_OK : end_file(v, err);

    if (rc != NX_OK)
        return rc;
    if (tail.len != 8 || value.len == 0 || value.len > CHUNK_BYTES)
        return BROKEN(err, "a piece of file %" PRIu64 " has %zu bytes", ino, value.len);
    number = key_number(tail);
    if (!any_node(v, ino, &v->buf, &node) || node.kind != NX_KIND_FILE)
        return BROKEN(err, "data of %" PRIu64 ", no plain file (I6)", ino);
    if (number > FILE_MAX_BYTES / CHUNK_BYTES ||
        number * CHUNK_BYTES + value.len > node_chunked(&node))
        return BROKEN(err,
                      "file %" PRIu64 " of %" PRIu64 " bytes has data at piece %" PRIu64 " (I6)",
                      ino, node.size, number);
    if (ino != v->file)
        v->found = 0;
    v->file = ino;
    v->counted = node.pieces;
    v->found++;
    v->all_found++;
    return NX_OK;
}

static enum nx_code check_xattr(struct verify *v, uint64_t ino, struct nx_slice tail,
                                struct nx_slice value, struct nx_err *err)
{
    struct node node;

    if (tail.len != 0 || !xattr_is_valid(value))
        return BROKEN(err, "the extended attributes of node %" PRIu64 " cannot be read (I10)", ino);
    if (!any_node(v, ino, &v->buf, &node))
        return BROKEN(err, "extended attributes of %" PRIu64 ", no node (I10)", ino);
    return NX_OK;
}

/* --- documents -------------------------------------------------------------------------------- */

static enum nx_code check_content(struct verify *v, const struct doc_header *header,
                                  struct nx_slice id, struct nx_slice body, struct nx_err *err)
{
    enum nx_code rc;

    nx_buf_clear(&v->whole);
    nx_buf_clear(&v->text);
    rc = body_append_bson(id, nx_slice(body.data, header->bson_bytes), &v->whole, err);
    if (rc == NX_OK)
        rc = nx_doc_check(nx_buf_slice(&v->whole), err);
    if (rc == NX_OK)
        rc = body_append_text(header, id, body, &v->text, err);
    return rc;
}

static enum nx_code check_document(struct verify *v, uint64_t collection, struct nx_slice id,
                                   struct nx_slice value, struct nx_err *err)
{
    struct doc_header header;
    struct nx_slice body;
    struct node node;
    size_t body_at;
    enum nx_code rc;

    if (!doc_header_decode(value, &header, &body))
        return BROKEN(err, "a document of collection %" PRIu64 " cannot be read", collection);
    if (!any_node(v, header.ino, &v->buf, &node) || node.kind != NX_KIND_DOCUMENT ||
        node.parent != collection || !nx_slice_equal(node.label, id))
        return BROKEN(err, "document %" PRIu64 " of collection %" PRIu64 " has no node (I1)",
                      header.ino, collection);
    if (header.revision >= v->next)
        return BROKEN(err, "document %" PRIu64 " has revision %" PRIu64 " of %" PRIu64 " (I8)",
                      header.ino, header.revision, v->next);
    if (!any_node(v, collection, &v->buf, &node) || node.kind != NX_KIND_COLLECTION)
        return BROKEN(err, "document %" PRIu64 " is in %" PRIu64 ", no collection (I1)", header.ino,
                      collection);
    if (header.flags & DOC_DRAFT)
        return NX_OK;
    rc = store_document(v->db, v->snapshot, collection, id, &v->buf, &header, &body_at,
                        err); /* I5 */
    if (rc == NX_OK)
        rc = check_content(v, &header, id, nx_slice(v->buf.data + body_at, v->buf.len - body_at),
                           err);
    if (rc != NX_OK && err) {
        struct nx_err inner = *err;

        return BROKEN(err, "document %" PRIu64 " of collection %" PRIu64 ": %.300s (I9)",
                      header.ino, collection, inner.message);
    }
    return rc;
}

static enum nx_code check_body(struct verify *v, uint64_t collection, struct nx_slice id,
                               struct nx_slice value, struct nx_err *err)
{
    struct doc_header header;
    struct node node;

    if (any_node(v, collection, &v->buf, &node) && node.flags & NODE_DROPPED)
        return NX_OK;
    if (store_header(v->db, v->snapshot, collection, id, &v->buf, &header, NULL) != NX_OK ||
        !(header.flags & DOC_LARGE) || doc_body_bytes(&header) != value.len)
        return BROKEN(err, "a body of %zu bytes in collection %" PRIu64 " has no document (I5)",
                      value.len, collection);
    return NX_OK;
}

/* --- marks ------------------------------------------------------------------------------------ */

static enum nx_code check_trash(struct verify *v, uint64_t dir, struct nx_slice tail,
                                struct nx_slice value, struct nx_err *err)
{
    struct node node;

    if (tail.len != 0 || value.len != 0 || !any_node(v, dir, &v->buf, &node) ||
        !(node.flags & NODE_DROPPED))
        return BROKEN(err, "%" PRIu64 " is in the trash and not dropped (I7)", dir);
    return NX_OK;
}

static enum nx_code check_orphan(struct verify *v, uint64_t ino, struct nx_slice tail,
                                 struct nx_slice value, struct nx_err *err)
{
    struct node node;

    if (tail.len != 0 || value.len != 0 || !any_node(v, ino, &v->buf, &node) || node.nlink != 0)
        return BROKEN(err, "%" PRIu64 " is an orphan and has a name or no node (I3)", ino);
    return NX_OK;
}

/* --- the feed --------------------------------------------------------------------------------- */

static enum nx_code check_changes(struct verify *v, uint64_t position, struct nx_slice tail,
                                  struct nx_slice value, struct nx_err *err)
{
    bool is_whole = tail.len == 0 && feed_row_is_whole(value);

    if (!is_whole || position < v->feed_end)
        return BROKEN(err, "the change feed cannot be read at %" PRIu64 " (I11)", position);
    v->feed_end = position + FEED_KEY_BYTES + value.len;
    return NX_OK;
}

static enum nx_code check_label(struct verify *v, uint64_t dir, struct nx_slice tail,
                                struct nx_slice value, struct nx_err *err)
{
    uint64_t parent;

    (void)v;
    if (tail.len != 8 || !get_varint(value.data, value.data + value.len, &parent))
        return BROKEN(err, "a former name of %" PRIu64 " cannot be read (I11)", dir);
    return NX_OK;
}

/* --- all -------------------------------------------------------------------------------------- */

/* Entries come before nodes, which need the links counted. */
static const struct pass {
    enum key_kind kind;
    check_fn check;
} passes[] = {
    {KEY_ENTRY, check_entry},       {KEY_LISTING, check_listing}, {KEY_NODE, check_node},
    {KEY_COUNTERS, check_counters}, {KEY_CHUNK, check_chunk},     {KEY_XATTR, check_xattr},
    {KEY_DOCUMENT, check_document}, {KEY_BODY, check_body},       {KEY_TRASH, check_trash},
    {KEY_ORPHAN, check_orphan},     {KEY_CHANGES, check_changes}, {KEY_LABEL, check_label},
};

struct pass_run {
    struct verify *v;
    const struct pass *pass;
};

static enum nx_code check_record(void *arg, struct nx_slice key, struct nx_slice value,
                                 struct nx_err *err)
{
    const struct pass_run *run = arg;
    struct nx_slice tail;
    uint64_t number;

    if (!key_split(key, &number, &tail))
        return BROKEN(err, "a key of kind %d has %zu bytes", run->pass->kind, key.len);
    return run->pass->check(run->v, number, tail, value, err);
}

static enum nx_code run_passes(struct verify *v, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    for (size_t i = 0; rc == NX_OK && i < sizeof passes / sizeof passes[0]; i++) {
        struct pass_run run = {.v = v, .pass = &passes[i]};
        struct key lower, upper;

        key_of_kind(&lower, passes[i].kind);
        key_of_kind(&upper, passes[i].kind + 1u);
        rc = each(v, &lower, &upper, check_record, &run, err);
        if (rc == NX_OK && passes[i].kind == KEY_CHUNK)
            rc = end_files(v, err);
        if (passes[i].kind == KEY_ENTRY && v->links.len)
            qsort(v->links.data, v->links.len / sizeof(uint64_t), sizeof(uint64_t),
                  compare_numbers);
    }
    return rc;
}

static enum nx_code read_next(struct verify *v, struct nx_err *err)
{
    enum nx_code rc = nx_engine_get(v->db->engine, v->snapshot, META_NEXT, &v->buf, err);

    if (rc == NX_OK && v->buf.len != 8)
        rc = BROKEN(err, "the record of the next number is damaged");
    if (rc == NX_OK)
        v->next = get_u64le(v->buf.data);
    return rc;
}

enum nx_code nx_db_verify(struct nx_db *db, struct nx_err *err)
{
    struct verify v = {.db = db, .snapshot = nx_snapshot_take(db->engine)};
    enum nx_code rc;

    if (!v.snapshot)
        return nx_fail_nomem(err);
    rc = read_next(&v, err);
    if (rc == NX_OK)
        rc = run_passes(&v, err);
    nx_snapshot_release(v.snapshot);
    nx_buf_fini(&v.links);
    nx_buf_fini(&v.buf);
    nx_buf_fini(&v.text);
    nx_buf_fini(&v.whole);
    return rc;
}
