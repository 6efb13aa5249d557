/*
 * values.h - lists of values, and arrays and documents made from them in an arena.
 *
 * Everything made here lives until the arena is reset. Failures: NX_ENOMEM, NX_ETOOBIG.
 */
#ifndef QUERY_VALUES_H
#define QUERY_VALUES_H

#include <nexadb/value.h>

#include "base/arena.h"

struct value_list {
    struct nx_value *at; /* in the arena */
    size_t len;
    size_t cap;
};

struct value_field {
    const char *key; /* borrowed, key[key_len] need not be NUL */
    uint32_t key_len;
    struct nx_value value;
};

struct field_list {
    struct value_field *at; /* in the arena */
    size_t len;
    size_t cap;
    uint32_t
        *slots; /* of field_list_set: places + 1 by the hash of the key, 0 free; in the arena */
    size_t slot_count;
    size_t indexed; /* so many fields are in `slots` */
};

enum nx_code value_list_push(struct value_list *list, struct arena *arena,
                             const struct nx_value *value, struct nx_err *err);
/* Append the elements of an array. */
enum nx_code value_list_extend(struct value_list *list, struct arena *arena,
                               const struct nx_value *array, struct nx_err *err);
typedef int (*value_compare_fn)(const void *arg, const struct nx_value *a,
                                const struct nx_value *b);
/* Stable. */
enum nx_code value_list_sort_by(struct value_list *list, struct arena *arena,
                                value_compare_fn compare, const void *arg, struct nx_err *err);
/* By nx_value_compare; `direction` -1 turns it round. */
enum nx_code value_list_sort(struct value_list *list, struct arena *arena, int direction,
                             struct nx_err *err);
/* Keep the first of each run of equal values of a sorted list. */
void value_list_unique(struct value_list *list);

enum nx_code field_list_push(struct field_list *list, struct arena *arena, const char *key,
                             size_t key_len, struct nx_value value, struct nx_err *err);
/* Replace the value of `key`, or append it; MISSING takes it away. */
enum nx_code field_list_set(struct field_list *list, struct arena *arena, const char *key,
                            size_t key_len, struct nx_value value, struct nx_err *err);
enum nx_code field_list_extend(struct field_list *list, struct arena *arena, struct nx_slice doc,
                               struct nx_err *err);

/* MISSING becomes null in an array, and is left out of a document. */
enum nx_code value_array(struct arena *arena, const struct value_list *items, struct nx_value *out,
                         struct nx_err *err);
enum nx_code value_document(struct arena *arena, const struct field_list *fields,
                            struct nx_value *out, struct nx_err *err);
enum nx_code value_text(struct arena *arena, const void *text, size_t len, struct nx_value *out,
                        struct nx_err *err);
/* The same value with its bytes in the arena. */
enum nx_code value_copy(struct arena *arena, const struct nx_value *value, struct nx_value *out,
                        struct nx_err *err);
/* Bytes that `value` borrows. */
static inline size_t value_borrowed(const struct nx_value *value)
{
    switch (value->type) {
    case NX_TYPE_DOUBLE:
    case NX_TYPE_UNDEFINED:
    case NX_TYPE_BOOL:
    case NX_TYPE_DATE:
    case NX_TYPE_NULL:
    case NX_TYPE_INT32:
    case NX_TYPE_INT64:
    case NX_TYPE_TIMESTAMP:
    case NX_TYPE_MINKEY:
    case NX_TYPE_MAXKEY:
    case NX_TYPE_MISSING:
        return 0;
    default:
        return value->len;
    }
}
/* True when documents and arrays are nested deeper than `limit` in `value`. */
bool value_deeper_than(const struct nx_value *value, unsigned limit);

#endif
