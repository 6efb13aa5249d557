/*
 * place.h - a name in a directory, and what is there: the steps that changes of names are made of.
 *
 *   place_find (names lock held for plain names) -> tx_lock(place_stripes) -> place_load ->
 * place_...
 *
 * Ownership: the name is the caller's; place_fini frees the rest.
 */
#ifndef STORE_PLACE_H
#define STORE_PLACE_H

#include "store/file.h"
#include "store/tx.h"

struct place {
    nx_ino dir;
    enum nx_kind dir_kind;
    uint32_t dir_mode, dir_gid; /* when it was found */
    struct nx_slice name;
    bool is_document; /* a document's name; `id` is its id */
    struct nx_id id;
    bool exists;
    struct entry entry; /* of what is there when it is plain, and its node */
    struct node node;
    struct doc_header header; /* of what is there when it is a document or draft, and its body */
    size_t body_at;
    struct nx_buf buf; /* the body, or what the node borrows */
};
#define PLACE_INIT ((struct place){.dir = 0})
void place_fini(struct place *place);

/* The directory, the id of a document's name, the entry of a plain one. A name that no document can
 * have is NX_ENAME. Not finding an entry is no error: `exists`. */
enum nx_code place_find(struct nx_db *db, nx_ino dir, struct nx_slice name, struct place *out,
                        struct nx_err *err);
/* What has to be locked before it is loaded. */
uint64_t place_stripes(const struct place *place);
/* The document or the node that is there, and that the directory lives. */
enum nx_code place_load(struct tx *tx, struct place *place, struct nx_err *err);
enum nx_code place_absent(const struct place *place, struct nx_err *err); /* NX_ENOTFOUND */
static inline bool place_is_directory(const struct place *place)
{
    return place->exists && !place->is_document && node_is_directory(&place->node);
}
static inline nx_ino place_ino(const struct place *place)
{
    return place->is_document ? place->header.ino : place->entry.ino;
}
static inline enum nx_kind place_kind(const struct place *place)
{
    if (!place->is_document)
        return place->node.kind;
    return place->header.flags & DOC_DRAFT ? NX_KIND_DRAFT : NX_KIND_DOCUMENT;
}
/* A document, not only a draft. */
static inline bool place_has_document(const struct place *place)
{
    return place->is_document && place->exists && !(place->header.flags & DOC_DRAFT);
}
static inline struct nx_slice place_body(const struct place *place)
{
    return nx_slice(place->buf.data + place->body_at, place->buf.len - place->body_at);
}

/* Give the name to a node: entry and counters. The name is free. */
enum nx_code place_put_plain(struct tx *tx, const struct place *place, nx_ino ino,
                             enum nx_kind kind, struct nx_err *err);
/* Take the plain name away: entry and counters; the node stays. */
enum nx_code place_remove_plain(struct tx *tx, const struct place *place, struct nx_err *err);
/* Store a document under the name, over what is there: record, node and counters. The number of
 * what was there goes unless it is header->ino. */
enum nx_code place_put_document(struct tx *tx, const struct place *place, struct doc_header *header,
                                struct nx_slice bson, struct nx_slice source, struct nx_err *err);
/* Remove the document: record and counters; `with_node`: its number too. */
enum nx_code place_remove_document(struct tx *tx, const struct place *place, bool with_node,
                                   struct nx_err *err);
/* NX_ENOTEMPTY when a directory holds anything. */
enum nx_code place_check_empty(struct tx *tx, const struct place *place, struct nx_err *err);
/* Remove whatever is there, as unlink and rmdir do. Directories are empty. */
enum nx_code place_remove(struct tx *tx, struct place *place, struct nx_err *err);

#endif
