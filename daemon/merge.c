/* merge.c - both merges are one walk; a patch differs in going down and in what null means. */
#include "daemon/merge.h"

#include <nexadb/value.h>

/* Depth is bounded: both documents passed nx_doc_check or the parser. */
static void merge(struct nx_builder *b, struct nx_slice base, struct nx_slice patch, bool deep);

static void put_patched(struct nx_builder *b, const char *key, size_t len,
                        const struct nx_value *old, const struct nx_value *new, bool deep)
{
    if (!deep) {
        nx_builder_put(b, key, len, new);
        return;
    }
    if (new->type == NX_TYPE_NULL)
        return;
    if (new->type != NX_TYPE_DOCUMENT) {
        nx_builder_put(b, key, len, new);
        return;
    }
    nx_builder_begin_document(b, key, len);
    merge(b, old->type == NX_TYPE_DOCUMENT ? nx_value_slice(old) : nx_doc_empty,
          nx_value_slice(new), true);
    nx_builder_close(b);
}

static void merge(struct nx_builder *b, struct nx_slice base, struct nx_slice patch, bool deep)
{
    struct nx_doc_iter iter;
    struct nx_value missing = NX_MISSING;

    nx_doc_iter_init(&iter, base);
    while (nx_doc_iter_next(&iter)) {
        struct nx_value new = nx_doc_get(patch, iter.key, iter.key_len);

        if (new.type == NX_TYPE_MISSING)
            nx_builder_put(b, iter.key, iter.key_len, &iter.value);
        else
            put_patched(b, iter.key, iter.key_len, &iter.value, &new, deep);
    }
    nx_doc_iter_init(&iter, patch);
    while (nx_doc_iter_next(&iter))
        if (nx_doc_get(base, iter.key, iter.key_len).type == NX_TYPE_MISSING)
            put_patched(b, iter.key, iter.key_len, &missing, &iter.value, deep);
}

static enum nx_code merge_into(struct nx_slice base, struct nx_slice patch, bool deep,
                               struct nx_buf *out, struct nx_err *err)
{
    struct nx_builder b;

    nx_builder_init(&b, out);
    merge(&b, base, patch, deep);
    return nx_builder_end(&b, err);
}

enum nx_code merge_fields(struct nx_slice base, struct nx_slice patch, struct nx_buf *out,
                          struct nx_err *err)
{
    return merge_into(base, patch, false, out, err);
}

enum nx_code merge_patch(struct nx_slice base, struct nx_slice patch, struct nx_buf *out,
                         struct nx_err *err)
{
    return merge_into(base, patch, true, out, err);
}
