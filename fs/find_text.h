/*
 * find_text.h - the components of a path below `.find/`: what each adds to a query.
 *
 *     component = field op value | field "?" | "@" modifier "=" value
 *     op        = "=" | "!=" | ">" | ">=" | "<" | "<=" | "~"
 *
 * %XX is decoded first, so a field with the bytes of an operator needs `@json=`. The leftmost,
 * longest operator splits. A value that is JSON is that value, else a string.
 *
 * Threads: any; no I/O.
 */
#ifndef FS_FIND_TEXT_H
#define FS_FIND_TEXT_H

#include <nexadb/query.h>

#define FIND_COMPONENT_MAX 1024 /* bytes of one component */
#define FIND_QUERY_MAX 16384    /* bytes of a whole query, as it is kept */

enum find_component {
    FIND_IS_DOCUMENT, /* NAME.json */
    FIND_IS_QUERY,    /* adds to the query, or is wrong */
    FIND_IS_NAME,     /* of another file of the collection: 4913, .x.json.swp, alice.json~ */
};

/* What a path says. Zeroed: every document. */
struct find_query {
    struct nx_buf filters;    /* BSON documents one after the other: each must match */
    struct nx_buf sort;       /* BSON; empty: by _id */
    struct nx_buf projection; /* BSON; empty: whole documents */
    uint64_t skip, limit;     /* limit 0: all */
};

enum find_component find_text_kind(const char *name);
/* Add a component of kind FIND_IS_QUERY. Of modifiers given twice the last counts. NX_EQUERY and
 * what parsing JSON says; `query` is then only good for find_text_fini. */
enum nx_code find_text_add(struct find_query *query, const char *component, struct nx_err *err);
/* One filter of all: BSON, appended to an empty `out`; nothing when every document matches. */
enum nx_code find_text_filter(const struct find_query *query, struct nx_buf *out,
                              struct nx_err *err);
enum nx_code find_text_copy(const struct find_query *from, struct find_query *out,
                            struct nx_err *err);
void find_text_fini(struct find_query *query);

#endif
