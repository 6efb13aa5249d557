/*
 * mend.c - making the store's records fit together again after an engine-level repair.
 *
 * Documents and the data of files are what matters; names, nodes, listings and counters are made
 * anew from what is left of each other where they can be. The passes go over one kind of record
 * each, in an order in which every pass can rely on those before it:
 *
 *   nodes       those that cannot be read go; directories are noted; the root is made if need be
 *   documents   one without its body, or that cannot be read, goes; one without its collection
 *               gives that collection a name, "lost-<number>"; its node is made anew
 *   entries     one without a node goes; one in a lost directory brings that back likewise
 *   listings    one without an entry goes
 *   nodes       a directory or file without a name gets one, "lost-<number>" in the root; link
 *               counts are set; a document's node without the document goes
 *   bodies, data, extended attributes, marks without owner go
 *   counters    are counted, and the next number is set above all that were seen
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <nexadb/salvage.h>

#include "base/bytes.h"
#include "store/file.h"
#include "store/meta.h"
#include "store/store.h"
#include "store/xattr.h"

struct directory {
    nx_ino ino;
    bool is_dropped;
    struct counters counters; /* only the counts */
};

struct mend {
    struct nx_db db; /* its engine only: for the reads of store.h */
    struct nx_batch *batch;
    nx_line_fn fn;
    void *arg;
    struct nx_repair_counts *counts;
    struct directory *dirs; /* owned, by ino */
    size_t dir_count, dir_cap;
    struct nx_buf links; /* uint64_t: the node of every plain entry */
    uint64_t highest;    /* number seen */
    int64_t now_ns;
    struct nx_buf buf, value;
};

typedef enum nx_code (*mend_fn)(struct mend *m, uint64_t number, struct nx_slice tail,
                                struct nx_slice value, struct nx_err *err);

/* --- saying and writing -------------------------------------------------------------------------
 */

static void tell(struct mend *m, const char *format, ...) NX_PRINTF(2, 3);
static void tell(struct mend *m, const char *format, ...)
{
    char line[640];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    m->counts->losses++;
    m->fn(m->arg, line);
}

static enum nx_code commit(struct mend *m, struct nx_err *err)
{
    enum nx_code rc = nx_engine_commit(m->db.engine, m->batch, NX_NONE, err);

    nx_batch_clear(m->batch);
    return rc;
}

static enum nx_code put(struct mend *m, struct nx_slice key, struct nx_slice value,
                        struct nx_err *err)
{
    if (nx_batch_put(m->batch, key, value) != NX_OK)
        return nx_fail_nomem(err);
    m->counts->mended++;
    return commit(m, err);
}

static enum nx_code drop_key(struct mend *m, const struct key *key, struct nx_err *err)
{
    if (nx_batch_delete(m->batch, key_slice(key)) != NX_OK)
        return nx_fail_nomem(err);
    m->counts->dropped++;
    return commit(m, err);
}

static enum nx_code drop(struct mend *m, enum key_kind kind, uint64_t number, struct nx_slice tail,
                         struct nx_err *err)
{
    struct key key;

    key_of_tail(&key, kind, number, tail);
    return drop_key(m, &key, err);
}

static void see(struct mend *m, uint64_t number)
{
    if (number > m->highest && number < NUMBER_LIMIT)
        m->highest = number;
}

static bool find_node(struct mend *m, nx_ino ino, struct nx_buf *buf, struct node *out)
{
    struct key key;

    key_of(&key, KEY_NODE, ino);
    return store_get(&m->db, NULL, &key, buf, NULL) == NX_OK && node_decode(nx_buf_slice(buf), out);
}

static bool has_mark(struct mend *m, enum key_kind kind, uint64_t number)
{
    struct key key;

    key_of(&key, kind, number);
    return store_get(&m->db, NULL, &key, &m->value, NULL) == NX_OK;
}

static enum nx_code put_node(struct mend *m, nx_ino ino, const struct node *node,
                             struct nx_err *err)
{
    struct nx_buf value NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct key key;

    key_of(&key, KEY_NODE, ino);
    if (node_encode(node, &value) != NX_OK)
        return nx_fail_nomem(err);
    return put(m, key_slice(&key), nx_buf_slice(&value), err);
}

/* --- directories --------------------------------------------------------------------------------
 */

static struct directory *find_directory(struct mend *m, nx_ino ino)
{
    size_t low = 0, high = m->dir_count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (m->dirs[mid].ino < ino)
            low = mid + 1;
        else
            high = mid;
    }
    return low < m->dir_count && m->dirs[low].ino == ino ? &m->dirs[low] : NULL;
}

static enum nx_code add_directory(struct mend *m, nx_ino ino, bool is_dropped, struct nx_err *err)
{
    size_t at = m->dir_count;

    if (m->dir_count == m->dir_cap) {
        size_t cap = m->dir_cap ? m->dir_cap * 2 : 64;
        struct directory *dirs = realloc(m->dirs, cap * sizeof *dirs);

        if (!dirs)
            return nx_fail_nomem(err);
        m->dirs = dirs;
        m->dir_cap = cap;
    }
    for (; at > 0 && m->dirs[at - 1].ino > ino; at--)
        m->dirs[at] = m->dirs[at - 1];
    m->dirs[at] = (struct directory){.ino = ino, .is_dropped = is_dropped};
    m->dir_count++;
    return NX_OK;
}

static struct nx_slice lost_name(nx_ino ino, char out[32])
{
    return nx_slice(out, (size_t)snprintf(out, 32, "lost-%" PRIu64, ino));
}

/* Entry and listing of `name` in `dir`. */
static enum nx_code put_entry(struct mend *m, nx_ino dir, struct nx_slice name, nx_ino ino,
                              enum nx_kind kind, struct nx_err *err)
{
    struct entry entry = {.number = ++m->highest, .ino = ino, .kind = kind};
    struct key key;
    enum nx_code rc;

    nx_buf_clear(&m->value);
    key_of_tail(&key, KEY_ENTRY, dir, name);
    if (entry_encode(&entry, &m->value) != NX_OK)
        return nx_fail_nomem(err);
    rc = put(m, key_slice(&key), nx_buf_slice(&m->value), err);
    nx_buf_clear(&m->value);
    key_of_pair(&key, KEY_LISTING, dir, entry.number);
    if (rc == NX_OK && listing_encode(&entry, name, &m->value) != NX_OK)
        return nx_fail_nomem(err);
    return rc == NX_OK ? put(m, key_slice(&key), nx_buf_slice(&m->value), err) : rc;
}

static struct node new_directory(const struct mend *m, enum nx_kind kind, nx_ino parent,
                                 struct nx_slice name)
{
    return (struct node){.kind = kind,
                         .mode = 0755,
                         .uid = m->db.owner_uid,
                         .gid = m->db.owner_gid,
                         .mtime_ns = m->now_ns,
                         .atime_ns = m->now_ns,
                         .ctime_ns = m->now_ns,
                         .parent = parent,
                         .label = name};
}

/* The directory of a record; made anew, as a collection, when it is lost. */
static enum nx_code need_directory(struct mend *m, nx_ino ino, struct nx_err *err)
{
    char text[32];
    struct nx_slice name = lost_name(ino, text);
    struct node node = new_directory(m, NX_KIND_COLLECTION, NX_ROOT_INO, name);
    enum nx_code rc;

    if (find_directory(m, ino))
        return NX_OK;
    see(m, ino);
    tell(m, "the directory of number %" PRIu64 " is lost: what it held is in '%s'", ino, text);
    rc = put_node(m, ino, &node, err);
    return rc == NX_OK ? add_directory(m, ino, false, err) : rc;
}

static enum nx_code note_node(struct mend *m, uint64_t ino, struct nx_slice tail,
                              struct nx_slice value, struct nx_err *err)
{
    struct node node;

    see(m, ino);
    if (tail.len != 0 || !node_decode(value, &node)) {
        tell(m, "node %" PRIu64 " cannot be read", ino);
        return drop(m, KEY_NODE, ino, tail, err);
    }
    return node_is_directory(&node) ? add_directory(m, ino, node.flags & NODE_DROPPED, err) : NX_OK;
}

static enum nx_code make_root(struct mend *m, struct nx_err *err)
{
    struct node root = new_directory(m, NX_KIND_ROOT, NX_ROOT_INO, NX_SLICE_NULL);
    enum nx_code rc;

    if (find_directory(m, NX_ROOT_INO))
        return NX_OK;
    tell(m, "the root's node is lost and made anew");
    root.nlink = 2;
    rc = put_node(m, NX_ROOT_INO, &root, err);
    return rc == NX_OK ? add_directory(m, NX_ROOT_INO, false, err) : rc;
}

/* --- documents ----------------------------------------------------------------------------------
 */

/* NULL when a document is whole, else what it lacks. */
static const char *check_document(struct mend *m, uint64_t collection, struct nx_slice id,
                                  struct nx_slice value, struct doc_header *header)
{
    struct nx_slice body;
    struct key key;

    if (!doc_header_decode(value, header, &body))
        return "cannot be read";
    if (header->flags & DOC_DRAFT)
        return NULL;
    if (!(header->flags & DOC_LARGE))
        return body.len == doc_body_bytes(header) ? NULL : "has a body of another length";
    key_of_tail(&key, KEY_BODY, collection, id);
    if (store_get(&m->db, NULL, &key, &m->buf, NULL) != NX_OK)
        return "has lost its body";
    return m->buf.len == doc_body_bytes(header) ? NULL : "has a body of another version";
}

static void tell_document(struct mend *m, uint64_t collection, struct nx_slice id, const char *what)
{
    char hex[64];
    size_t shown = id.len < 24 ? id.len : 24;

    for (size_t i = 0; i < shown; i++)
        snprintf(hex + 2 * i, 3, "%02x", id.data[i]);
    tell(m, "a document of collection %" PRIu64 " %s: its id's key is %.*s%s", collection, what,
         (int)(2 * shown), hex, shown < id.len ? "..." : "");
}

static bool is_same_document(const struct node *node, uint64_t collection, struct nx_slice id)
{
    return node->kind == NX_KIND_DOCUMENT && node->parent == collection &&
           nx_slice_equal(node->label, id);
}

/* A number that another live record has: an old version of this one came back. */
static bool is_taken(struct mend *m, nx_ino ino, const struct node *node)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct doc_header header;
    struct nx_slice body;
    struct key key;

    if (node->kind != NX_KIND_DOCUMENT)
        return true;
    key_of_tail(&key, KEY_DOCUMENT, node->parent, node->label);
    return store_get(&m->db, NULL, &key, &buf, NULL) == NX_OK &&
           doc_header_decode(nx_buf_slice(&buf), &header, &body) && header.ino == ino;
}

static enum nx_code renumber(struct mend *m, uint64_t collection, struct nx_slice id,
                             struct nx_slice value, struct doc_header *header, struct nx_err *err)
{
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_slice body;
    struct key key;

    header->ino = ++m->highest;
    doc_header_decode(value, &(struct doc_header){0}, &body);
    key_of_tail(&key, KEY_DOCUMENT, collection, id);
    if (doc_header_encode(header, &out) != NX_OK ||
        nx_buf_append(&out, body.data, body.len) != NX_OK)
        return nx_fail_nomem(err);
    return put(m, key_slice(&key), nx_buf_slice(&out), err);
}

static enum nx_code mend_document(struct mend *m, uint64_t collection, struct nx_slice id,
                                  struct nx_slice value, struct nx_err *err)
{
    struct doc_header header;
    const char *wrong = check_document(m, collection, id, value, &header);
    struct directory *dir;
    struct node node;
    bool has_node;
    enum nx_code rc;

    if (wrong) {
        tell_document(m, collection, id, wrong);
        return drop(m, KEY_DOCUMENT, collection, id, err);
    }
    rc = need_directory(m, collection, err);
    if (rc != NX_OK)
        return rc;
    see(m, header.ino);
    see(m, header.revision);
    dir = find_directory(m, collection);
    dir->counters.documents += header.flags & DOC_DRAFT ? 0 : 1;
    dir->counters.drafts += header.flags & DOC_DRAFT ? 1 : 0;
    has_node = find_node(m, header.ino, &m->buf, &node);
    if (has_node && is_same_document(&node, collection, id))
        return NX_OK;
    if (has_node && is_taken(m, header.ino, &node))
        rc = renumber(m, collection, id, value, &header, err);
    node = (struct node){.kind = NX_KIND_DOCUMENT, .parent = collection, .label = id};
    return rc == NX_OK ? put_node(m, header.ino, &node, err) : rc;
}

static enum nx_code mend_body(struct mend *m, uint64_t collection, struct nx_slice id,
                              struct nx_slice value, struct nx_err *err)
{
    struct doc_header header;

    if (store_header(&m->db, NULL, collection, id, &m->buf, &header, NULL) == NX_OK &&
        header.flags & DOC_LARGE && doc_body_bytes(&header) == value.len)
        return NX_OK;
    tell_document(m, collection, id, "has a body and no header");
    return drop(m, KEY_BODY, collection, id, err);
}

/* --- names --------------------------------------------------------------------------------------
 */

static bool is_directory_kind(enum nx_kind kind)
{
    return kind == NX_KIND_COLLECTION || kind == NX_KIND_DIRECTORY;
}

static bool is_listed(struct mend *m, nx_ino dir, const struct entry *entry, struct nx_slice name)
{
    struct entry listed;
    struct nx_slice listed_name;
    struct key key;

    key_of_pair(&key, KEY_LISTING, dir, entry->number);
    return store_get(&m->db, NULL, &key, &m->buf, NULL) == NX_OK &&
           listing_decode(nx_buf_slice(&m->buf), &listed, &listed_name) &&
           listed.ino == entry->ino && listed.kind == entry->kind &&
           nx_slice_equal(listed_name, name);
}

static bool leads_to_node(struct mend *m, nx_ino dir, const struct entry *entry,
                          struct nx_slice name)
{
    struct node node;

    if (!find_node(m, entry->ino, &m->buf, &node) || node.kind != entry->kind)
        return false;
    return !is_directory_kind(entry->kind) ||
           (node.parent == dir && nx_slice_equal(node.label, name) && !(node.flags & NODE_DROPPED));
}

static enum nx_code mend_entry(struct mend *m, uint64_t dir, struct nx_slice name,
                               struct nx_slice value, struct nx_err *err)
{
    const struct directory *known = find_directory(m, dir);
    struct entry entry;
    enum nx_code rc;

    if (known && known->is_dropped)
        return NX_OK; /* it is being emptied */
    if (!entry_decode(value, &entry) || !leads_to_node(m, dir, &entry, name)) {
        tell(m, "'%.*s' in directory %" PRIu64 " is lost: nothing is left of it but the name",
             NAME_ARG(name), dir);
        return drop(m, KEY_ENTRY, dir, name, err);
    }
    see(m, entry.number);
    rc = need_directory(m, dir, err);
    if (rc == NX_OK && !is_listed(m, dir, &entry, name))
        rc = put_entry(m, dir, name, entry.ino, entry.kind, err);
    if (rc != NX_OK || is_directory_kind(entry.kind))
        return rc;
    return nx_buf_append(&m->links, &entry.ino, sizeof entry.ino) == NX_OK ? NX_OK
                                                                           : nx_fail_nomem(err);
}

static enum nx_code mend_listing(struct mend *m, uint64_t dir, struct nx_slice tail,
                                 struct nx_slice value, struct nx_err *err)
{
    struct entry listed, entry;
    struct nx_slice name;

    if (tail.len == 8 && listing_decode(value, &listed, &name) &&
        store_entry(&m->db, NULL, dir, name, &entry, NULL) == NX_OK && entry.ino == listed.ino &&
        entry.number == key_number(tail))
        return NX_OK;
    return drop(m, KEY_LISTING, dir, tail, err);
}

/* --- nodes without a name -----------------------------------------------------------------------
 */

static uint32_t count_links(const struct mend *m, nx_ino ino)
{
    uint32_t count = 0;
    size_t low = 0, high = m->links.len / sizeof ino, total = high;
    nx_ino at;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        memcpy(&at, m->links.data + mid * sizeof at, sizeof at);
        if (at < ino)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < total; low++, count++) {
        memcpy(&at, m->links.data + low * sizeof at, sizeof at);
        if (at != ino)
            break;
    }
    return count;
}

static enum nx_code name_directory(struct mend *m, nx_ino ino, struct node *node,
                                   struct nx_err *err)
{
    struct entry entry;
    char text[32];
    struct directory *parent = find_directory(m, node->parent);
    enum nx_code rc = store_entry(&m->db, NULL, node->parent, node->label, &entry, NULL);

    if (rc == NX_OK && entry.ino == ino)
        return NX_OK;
    if (!parent || parent->is_dropped || rc == NX_OK || node->label.len == 0) {
        node->parent = NX_ROOT_INO;
        node->label = lost_name(ino, text);
        node->kind = NX_KIND_COLLECTION;
        tell(m, "directory %" PRIu64 " has lost its place: it is '%s'", ino, text);
        rc = put_node(m, ino, node, err);
        if (rc != NX_OK)
            return rc;
    }
    return put_entry(m, node->parent, node->label, ino, node->kind, err);
}

/* Pieces that are lost read as zeros. */
static enum nx_code count_pieces(struct mend *m, nx_ino ino, struct node *node, bool *changed,
                                 struct nx_err *err)
{
    uint64_t count, end = chunk_count(node_chunked(node));
    enum nx_code rc = node->kind == NX_KIND_FILE
                          ? file_count_chunks(&m->db, NULL, ino, 0, end, &count, err)
                          : NX_OK;

    *changed = rc == NX_OK && node->kind == NX_KIND_FILE && count != node->pieces;
    if (!*changed)
        return rc;
    if (count < node->pieces)
        tell(m, "file %" PRIu64 " has lost %" PRIu64 " pieces of its data: they are zeros", ino,
             node->pieces - count);
    node->pieces = count;
    return NX_OK;
}

static enum nx_code name_plain(struct mend *m, nx_ino ino, struct node *node, struct nx_err *err)
{
    uint32_t links = count_links(m, ino);
    char text[32];
    bool changed;
    enum nx_code rc = count_pieces(m, ino, node, &changed, err);

    if (rc != NX_OK)
        return rc;
    if (links == node->nlink && (links > 0 || has_mark(m, KEY_ORPHAN, ino)))
        return changed ? put_node(m, ino, node, err) : NX_OK;
    if (links == 0) {
        tell(m, "file %" PRIu64 " has lost its name: it is '%s'", ino,
             (const char *)lost_name(ino, text).data);
        rc = put_entry(m, NX_ROOT_INO, lost_name(ino, text), ino, node->kind, err);
        links = 1;
    }
    node->nlink = links;
    return rc == NX_OK ? put_node(m, ino, node, err) : rc;
}

static enum nx_code mend_node(struct mend *m, uint64_t ino, struct nx_slice tail,
                              struct nx_slice value, struct nx_err *err)
{
    struct doc_header header;
    struct node node;
    struct key key;

    if (tail.len != 0 || !node_decode(value, &node))
        return NX_OK; /* dropped before */
    if (node.kind == NX_KIND_DOCUMENT) {
        if (store_header(&m->db, NULL, node.parent, node.label, &m->buf, &header, NULL) == NX_OK &&
            header.ino == ino)
            return NX_OK;
        return drop(m, KEY_NODE, ino, tail, err);
    }
    if (!node_is_directory(&node))
        return name_plain(m, ino, &node, err);
    if (ino == NX_ROOT_INO)
        return NX_OK;
    if (!(node.flags & NODE_DROPPED))
        return name_directory(m, ino, &node, err);
    key_of(&key, KEY_TRASH, ino);
    return has_mark(m, KEY_TRASH, ino) ? NX_OK : put(m, key_slice(&key), NX_SLICE_NULL, err);
}

/* --- data and marks -----------------------------------------------------------------------------
 */

static enum nx_code mend_chunk(struct mend *m, uint64_t ino, struct nx_slice tail,
                               struct nx_slice value, struct nx_err *err)
{
    struct node node;

    if (tail.len == 8 && find_node(m, ino, &m->buf, &node) && node.kind == NX_KIND_FILE &&
        key_number(tail) <= FILE_MAX_BYTES / CHUNK_BYTES &&
        key_number(tail) * CHUNK_BYTES + value.len <= node_chunked(&node))
        return NX_OK;
    tell(m, "%zu bytes of file %" PRIu64 " have no file", value.len, ino);
    return drop(m, KEY_CHUNK, ino, tail, err);
}

static enum nx_code mend_xattr(struct mend *m, uint64_t ino, struct nx_slice tail,
                               struct nx_slice value, struct nx_err *err)
{
    struct node node;

    if (tail.len == 0 && xattr_is_valid(value) && find_node(m, ino, &m->buf, &node))
        return NX_OK;
    tell(m, "the extended attributes of node %" PRIu64 " are lost", ino);
    return drop(m, KEY_XATTR, ino, tail, err);
}

static enum nx_code mend_trash(struct mend *m, uint64_t dir, struct nx_slice tail,
                               struct nx_slice value, struct nx_err *err)
{
    const struct directory *known = find_directory(m, dir);

    (void)value;
    return known && known->is_dropped ? NX_OK : drop(m, KEY_TRASH, dir, tail, err);
}

static enum nx_code mend_orphan(struct mend *m, uint64_t ino, struct nx_slice tail,
                                struct nx_slice value, struct nx_err *err)
{
    struct node node;

    (void)value;
    if (find_node(m, ino, &m->buf, &node) && node.nlink == 0 && !node_is_directory(&node) &&
        node.kind != NX_KIND_DOCUMENT)
        return NX_OK;
    return drop(m, KEY_ORPHAN, ino, tail, err);
}

/* --- the feed: with rows lost it would pass over changes and not know it -----------------------
 */

static enum nx_code drop_feed(struct mend *m, struct nx_err *err)
{
    struct key begin, end;

    key_of_kind(&begin, KEY_CHANGES);
    key_of_kind(&end, KEY_LABEL + 1u);
    if (nx_batch_delete_range(m->batch, key_slice(&begin), key_slice(&end)) != NX_OK)
        return nx_fail_nomem(err);
    return commit(m, err);
}

/* --- counters -----------------------------------------------------------------------------------
 */

static enum nx_code count_entry(struct mend *m, uint64_t dir, struct nx_slice name,
                                struct nx_slice value, struct nx_err *err)
{
    struct directory *known = find_directory(m, dir);
    struct entry entry;

    (void)name, (void)err;
    if (known && entry_decode(value, &entry)) {
        known->counters.entries++;
        known->counters.subdirectories += is_directory_kind(entry.kind);
    }
    return NX_OK;
}

static enum nx_code drop_counters(struct mend *m, uint64_t dir, struct nx_slice tail,
                                  struct nx_slice value, struct nx_err *err)
{
    (void)value;
    return find_directory(m, dir) ? NX_OK : drop(m, KEY_COUNTERS, dir, tail, err);
}

static enum nx_code put_counters(struct mend *m, const struct directory *dir, struct nx_err *err)
{
    struct counters counters = dir->counters, old;
    struct key key;

    key_of(&key, KEY_COUNTERS, dir->ino);
    counters.mtime_ns = counters.ctime_ns = m->now_ns;
    if (store_get(&m->db, NULL, &key, &m->buf, NULL) == NX_OK &&
        counters_decode(nx_buf_slice(&m->buf), &old)) {
        counters.mtime_ns = old.mtime_ns;
        counters.ctime_ns = old.ctime_ns;
        if (dir->is_dropped ||
            (old.documents == counters.documents && old.drafts == counters.drafts &&
             old.entries == counters.entries && old.subdirectories == counters.subdirectories))
            return NX_OK;
    }
    nx_buf_clear(&m->value);
    if (counters_encode(&counters, &m->value) != NX_OK)
        return nx_fail_nomem(err);
    return put(m, key_slice(&key), nx_buf_slice(&m->value), err);
}

static enum nx_code put_meta(struct mend *m, struct nx_err *err)
{
    struct nx_engine *engine = m->db.engine;
    uint8_t format[4], uuid[16], next[8];
    enum nx_code rc = nx_engine_get(engine, NULL, META_FORMAT, &m->buf, err);

    if (rc == NX_OK && m->buf.len == 4 && get_u32le(m->buf.data) != STORE_FORMAT)
        return nx_fail(err, NX_EVERSION, "store format %u", get_u32le(m->buf.data));
    put_u32le(format, STORE_FORMAT);
    if (rc == NX_ENOTFOUND || (rc == NX_OK && m->buf.len != 4))
        rc = put(m, META_FORMAT, nx_slice(format, sizeof format), err);
    if (rc == NX_OK && nx_engine_get(engine, NULL, META_UUID, &m->buf, NULL) != NX_OK) {
        m->db.io->ops->random(m->db.io, uuid, sizeof uuid);
        rc = put(m, META_UUID, nx_slice(uuid, sizeof uuid), err);
    }
    if (rc != NX_OK)
        return rc;
    rc = nx_engine_get(engine, NULL, META_NEXT, &m->buf, NULL);
    if (rc == NX_OK && m->buf.len == 8 && get_u64le(m->buf.data) > m->highest &&
        get_u64le(m->buf.data) < NUMBER_LIMIT)
        return NX_OK;
    put_u64le(next, m->highest + 1);
    return put(m, META_NEXT, nx_slice(next, sizeof next), err);
}

/* --- all ----------------------------------------------------------------------------------------
 */

static enum nx_code each(struct mend *m, enum key_kind kind, mend_fn fn, struct nx_err *err)
{
    struct key lower, upper;
    struct nx_range range;
    struct nx_iter *iter;
    enum nx_code rc;

    key_of_kind(&lower, kind);
    key_of_kind(&upper, kind + 1u);
    range = (struct nx_range){.lower = key_slice(&lower), .upper = key_slice(&upper)};
    rc = nx_iter_open(m->db.engine, &range, &iter, err);
    if (rc != NX_OK)
        return rc;
    for (bool ok = nx_iter_first(iter); ok && rc == NX_OK; ok = nx_iter_next(iter)) {
        struct nx_slice tail;
        uint64_t number;

        if (key_split(nx_iter_key(iter), &number, &tail))
            rc = fn(m, number, tail, nx_iter_value(iter), err);
    }
    if (rc == NX_OK)
        rc = nx_iter_status(iter, err);
    nx_iter_close(iter);
    return rc;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x, y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static enum nx_code run(struct mend *m, struct nx_err *err)
{
    static const struct {
        enum key_kind kind;
        mend_fn fn;
    } passes[] = {
        {KEY_DOCUMENT, mend_document}, {KEY_ENTRY, mend_entry},   {KEY_LISTING, mend_listing},
        {KEY_CHUNK, mend_chunk}, /* before the nodes, which count what is left */
        {KEY_NODE, mend_node},         {KEY_BODY, mend_body},     {KEY_XATTR, mend_xattr},
        {KEY_TRASH, mend_trash},       {KEY_ORPHAN, mend_orphan}, {KEY_ENTRY, count_entry},
        {KEY_COUNTERS, drop_counters},
    };
    enum nx_code rc = drop_feed(m, err);

    if (rc == NX_OK)
        rc = each(m, KEY_NODE, note_node, err);
    if (rc == NX_OK)
        rc = make_root(m, err);
    for (size_t i = 0; i < sizeof passes / sizeof passes[0] && rc == NX_OK; i++) {
        if (passes[i].kind == KEY_NODE && m->links.len)
            qsort(m->links.data, m->links.len / sizeof(uint64_t), sizeof(uint64_t),
                  compare_numbers);
        rc = each(m, passes[i].kind, passes[i].fn, err);
    }
    for (size_t i = 0; i < m->dir_count && rc == NX_OK; i++)
        rc = put_counters(m, &m->dirs[i], err);
    return rc == NX_OK ? put_meta(m, err) : rc;
}

static enum nx_code mend_store(const char *dir, const struct nx_db_options *options, nx_line_fn fn,
                               void *arg, struct nx_repair_counts *counts, struct nx_err *err)
{
    struct nx_io *io = options->engine.io ? options->engine.io : nx_io_posix();
    struct mend m = {.fn = fn, .arg = arg, .counts = counts, .highest = NX_ROOT_INO};
    enum nx_code rc, closed;

    m.db.io = io;
    m.db.owner_uid = options->owner_uid;
    m.db.owner_gid = options->owner_gid;
    m.now_ns = (int64_t)io->ops->realtime_ns(io);
    rc = nx_engine_open(dir, &options->engine, &m.db.engine, err);
    if (rc != NX_OK)
        return rc;
    rc = nx_batch_new(&m.batch) == NX_OK ? run(&m, err) : nx_fail_nomem(err);
    if (rc == NX_OK)
        rc = nx_engine_flush(m.db.engine, err);
    closed = nx_engine_close(m.db.engine, rc == NX_OK ? err : NULL);
    nx_batch_free(m.batch);
    nx_buf_fini(&m.links);
    nx_buf_fini(&m.buf);
    nx_buf_fini(&m.value);
    free(m.dirs);
    return rc == NX_OK ? closed : rc;
}

enum nx_code nx_db_repair(const char *dir, const char *new_dir, const struct nx_db_options *options,
                          nx_line_fn loss, void *arg, struct nx_repair_counts *out,
                          struct nx_err *err)
{
    enum nx_code rc = nx_engine_repair(dir, new_dir, &options->engine, loss, arg, out, err);

    return rc == NX_OK ? mend_store(new_dir, options, loss, arg, out, err) : rc;
}
