/*
 * path.h - dotted paths over documents, with MongoDB's array semantics.
 *
 * A path is compiled once; walking it allocates nothing. Contract: the manual's "Query an Array of
 * Embedded Documents": a path goes through arrays of documents, not through an array directly
 * inside an array; a numeric component is both an index and a field name.
 */
#ifndef DOC_PATH_H
#define DOC_PATH_H

#include <nexadb/value.h>

#define PATH_MAX_PARTS (NX_DOC_MAX_DEPTH + 1)

struct path_part {
    const char *name; /* points into path.text */
    uint32_t len;
    int32_t index; /* 0.. when it is a decimal number without leading zeros, else -1 */
};
struct path {
    char *text; /* owned, NUL-terminated, dots included */
    size_t len;
    struct path_part *parts; /* owned */
    uint32_t count;
};

/* NX_EQUERY for an empty path or part, a NUL, too many parts. */
enum nx_code path_init(struct path *path, const char *text, size_t len, struct nx_err *err);
void path_fini(struct path *path);

/*
 * Call `fn` for every value that the path reaches, MISSING for each branch that ends early: over
 * {a:[1,2]} "a.b" yields nothing, over {a:1} it yields MISSING. An array at the end of the path is
 * yielded itself (`is_array_itself` of the caller decides about its elements: see
 * path_each_expanded). Stops when `fn` returns true, and returns true then.
 */
typedef bool (*path_fn)(void *arg, const struct nx_value *value);
bool path_each(const struct path *path, struct nx_slice doc, path_fn fn, void *arg);
/* The same, and for an array at the end its elements too, before the array itself. */
bool path_each_expanded(const struct path *path, struct nx_slice doc, path_fn fn, void *arg);
/* The value by fields and (for arrays) indexes only, never fanning out: MISSING when there is none.
 */
struct nx_value path_get_plain(const struct path *path, struct nx_slice doc);

#endif
