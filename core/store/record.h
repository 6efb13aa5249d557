/*
 * record.h - the values of the store: nodes, counters, entries, document headers.
 *
 * Ownership: slices in a decoded record borrow from the decoded bytes.
 * Errors:    a decoder returns false for bytes that are no such record; the caller names the key.
 * Format:    FORMAT.md, "Values".
 */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include <nexadb/db.h>

/* --- node ------------------------------------------------------------------------------------- */

enum {
    NODE_DROPPED = 1, /* a directory in the trash: not found by any read */
};

struct node {
    enum nx_kind kind; /* DOCUMENT for a draft too: the document's header tells */
    uint8_t flags;
    uint32_t mode, uid, gid, nlink;
    uint64_t rdev, size;
    int64_t mtime_ns, atime_ns, ctime_ns; /* of a directory: mtime and ctime are in its counters */
    nx_ino parent;                        /* of a directory or a document */
    struct nx_slice label; /* directory: its name; document: its id; symlink: its target */
    uint64_t pieces;       /* of a plain file: how many chunks it has */
    struct nx_slice tail;  /* of a plain file: its last bytes, which no chunk holds */
};

/* A plain file's data stands in chunks; up to this many bytes of its end stand in its node. */
#define CHUNK_BYTES 32768u
#define TAIL_MAX_BYTES 2048u

static inline uint64_t chunk_count(uint64_t size)
{
    return size / CHUNK_BYTES + (size % CHUNK_BYTES != 0);
}
/* The bytes of a plain file that chunks may hold. */
static inline uint64_t node_chunked(const struct node *node)
{
    return node->size - node->tail.len;
}

enum nx_code node_encode(const struct node *node, struct nx_buf *out);
bool node_decode(struct nx_slice value, struct node *out);

static inline bool node_is_directory(const struct node *node)
{
    return node->kind == NX_KIND_ROOT || node->kind == NX_KIND_COLLECTION ||
           node->kind == NX_KIND_DIRECTORY;
}

/* --- counters: what changes in a directory when a name comes or goes ----------------------------
 */

struct counters {
    uint64_t documents, drafts;
    uint64_t entries; /* plain names, subdirectories included */
    uint64_t subdirectories;
    int64_t mtime_ns, ctime_ns;
};

enum nx_code counters_encode(const struct counters *counters, struct nx_buf *out);
bool counters_decode(struct nx_slice value, struct counters *out);

/* --- entry: a plain name ------------------------------------------------------------------------
 */

struct entry {
    uint64_t number; /* its place in the listing */
    nx_ino ino;
    enum nx_kind kind;
};

enum nx_code entry_encode(const struct entry *entry, struct nx_buf *out);
bool entry_decode(struct nx_slice value, struct entry *out);
/* The listing's value: ino, kind, name; `number` is in its key. */
enum nx_code listing_encode(const struct entry *entry, struct nx_slice name, struct nx_buf *out);
bool listing_decode(struct nx_slice value, struct entry *out, struct nx_slice *name);

/* --- document -----------------------------------------------------------------------------------
 */

enum {
    DOC_DRAFT = 1,      /* an empty file: no body */
    DOC_LARGE = 2,      /* the body is in KEY_BODY */
    DOC_ID_IN_TEXT = 4, /* the text begins with the _id field */
};

/* Bodies beyond this many bytes are kept out of the way of listings. */
#define DOC_INLINE_MAX_BYTES 2048

struct doc_header {
    uint8_t flags;
    uint8_t layout; /* doc/layout.h */
    uint32_t mode, uid, gid;
    nx_ino ino;
    uint64_t revision;
    int64_t mtime_ns, atime_ns, ctime_ns;
    uint32_t text_bytes; /* what a read of the file gives */
    uint32_t bson_bytes; /* of the body's BSON, which has no _id */
};

enum nx_code doc_header_encode(const struct doc_header *header, struct nx_buf *out);
/* `body` gets what follows the header. */
bool doc_header_decode(struct nx_slice value, struct doc_header *out, struct nx_slice *body);
/* Bytes of the body: the BSON, and the text where no layout reproduces it. */
uint64_t doc_body_bytes(const struct doc_header *header);
void doc_header_attr(const struct doc_header *header, nx_ino collection, struct nx_attr *out);

#endif
