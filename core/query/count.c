/*
 * count.c - how many documents match. Without a filter the store knows, in O(1).
 */
#include "query/source.h"

static enum nx_code count_matching(const struct source_options *options, uint64_t enough,
                                   uint64_t *count, struct nx_err *err)
{
    struct nx_document document;
    struct source *source;
    enum nx_code rc = source_open(options, &source, err);

    while (rc == NX_OK && *count < enough) {
        rc = source_next(source, &document, err);
        if (rc == NX_OK)
            ++*count;
    }
    source_close(source);
    return rc == NX_DONE ? NX_OK : rc;
}

enum nx_code nx_query_count(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino collection,
                            struct nx_slice filter, uint64_t skip, uint64_t limit,
                            const struct nx_limits *limits, uint64_t *out, struct nx_err *err)
{
    bool is_all = filter.len == 0 || nx_doc_is_empty(filter);
    struct filter *parsed = NULL;
    struct budget budget;
    struct source_options options = {
        .db = db, .snapshot = snapshot, .collection = collection, .budget = &budget};
    uint64_t count = 0, enough = limit ? limit : UINT64_MAX;
    enum nx_code rc = NX_OK;

    *out = 0;
    if (__builtin_add_overflow(enough, skip, &enough))
        enough = UINT64_MAX;
    budget_init(&budget, limits, nx_db_io(db));
    if (is_all && collection && !budget.limits.visible) {
        rc = nx_document_count(db, snapshot, collection, &count, err);
    } else {
        rc = filter_parse(filter, NULL, &parsed, err);
        options.filter = parsed;
        if (rc == NX_OK)
            rc = count_matching(&options, enough, &count, err);
        filter_free(parsed);
    }
    if (rc != NX_OK)
        return rc;
    count = count > skip ? count - skip : 0;
    *out = limit && count > limit ? limit : count;
    return NX_OK;
}
