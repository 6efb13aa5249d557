/*
 * id.h - document ids: their canonical form, their file names, their keys.
 *
 * Contract: names are a bijection with ids (docs/filesystem.md, "Names").
 */
#ifndef NEXADB_ID_H
#define NEXADB_ID_H

#include <nexadb/attributes.h>
#include <nexadb/value.h>

#define NX_NAME_MAX 255

/*
 * An id as its order-preserving key (order of nx_value_compare), at most NX_ID_MAX_BYTES: the one
 * form in which ids are stored, compared and hashed. Ids that compare equal are one id: its value
 * reads back as the integer within int64, else as the double, else as the decimal that it equals.
 */
#define NX_ID_MAX_BYTES 1024
struct nx_id {
    uint16_t len;
    uint8_t key[NX_ID_MAX_BYTES];
};

/* NX_EID for an array, a regex, undefined, missing, or one whose name would pass NX_NAME_MAX bytes.
 */
NX_API enum nx_code nx_id_from_value(const struct nx_value *value, struct nx_id *out,
                                     struct nx_err *err);
/* Append the one-field document {"_id": value} to `out`. */
NX_API enum nx_code nx_id_to_document(const struct nx_id *id, struct nx_buf *out);
NX_API enum nx_code nx_id_from_key(struct nx_slice key, struct nx_id *out);

/* "alice.json", "42.json", "%o0123456789abcdef01234567.json": appended to `out`, with a NUL
 * behind its length. */
NX_API enum nx_code nx_id_to_name(const struct nx_id *id, struct nx_buf *out);
/*
 * The id that a file name stands for. NX_ENAME when it does not end in ".json", begins with a dot,
 * is not UTF-8 or not canonical; then, where there is one, `canonical` (may be NULL) gets the right
 * name. NX_ENAMETOOLONG past NX_NAME_MAX.
 */
NX_API enum nx_code nx_id_from_name(const char *name, size_t len, struct nx_id *out,
                                    struct nx_buf *canonical, struct nx_err *err);
/* A string id: the 24 hex digits of a new ObjectId. */
struct nx_io;
NX_API void nx_id_generate(struct nx_io *io, struct nx_id *out);
/* True for a name that would be a document in a collection: ends in ".json", no leading dot. */
NX_API bool nx_name_is_document(const char *name, size_t len);

#endif
