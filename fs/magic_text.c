/*
 * magic_text.c - from a text to a query: fields by table, unknown ones refused.
 */
#include "fs/magic_text.h"

#include <inttypes.h>

/* --- how far a text is ------------------------------------------------------------------------ */

static enum nx_scan_state place_reason(const struct nx_json_scanner *scanner, struct nx_err *err)
{
    nx_fail(err, NX_EJSON, "%s", scanner->reason ? scanner->reason : "not JSON");
    if (err) {
        err->line = scanner->line;
        err->column = scanner->column;
    }
    return NX_SCAN_IMPOSSIBLE;
}

static size_t skip_space(struct nx_slice text, size_t at)
{
    while (at < text.len && (text.data[at] == ' ' || text.data[at] == '\t' ||
                             text.data[at] == '\n' || text.data[at] == '\r'))
        at++;
    return at;
}

/* Where the first value ends; 0 when it does not. */
static size_t first_value(struct nx_slice text, struct nx_json_scanner *scanner)
{
    size_t end;

    nx_json_scanner_init(scanner);
    end = nx_json_scanner_feed(scanner, (const char *)text.data, text.len, true);
    return scanner->result == NX_SCAN_COMPLETE ? end : 0;
}

enum nx_scan_state magic_text_state(enum magic_kind kind, struct nx_slice text, struct nx_err *err)
{
    unsigned values = kind == MAGIC_QUERY ? 2 : 1;
    size_t at = skip_space(text, 0);
    struct nx_json_scanner scanner;

    if (at == text.len)
        return NX_SCAN_EMPTY;
    for (unsigned i = 0; i < values; i++) {
        size_t end = first_value(nx_slice(text.data + at, text.len - at), &scanner);

        if (scanner.result == NX_SCAN_IMPOSSIBLE)
            return place_reason(&scanner, err);
        if (end == 0)
            return NX_SCAN_PARTIAL;
        at = skip_space(text, at + end);
        if (at == text.len)
            return NX_SCAN_COMPLETE;
    }
    nx_fail(err, NX_EJSON, "text after the end, at byte %zu", at + 1);
    return NX_SCAN_IMPOSSIBLE;
}

static enum nx_code parse(struct nx_slice text, bool want_array, struct nx_buf *out,
                          struct nx_err *err)
{
    bool is_array = false;
    enum nx_code rc = nx_json_parse((const char *)text.data, text.len, NX_JSON_QUERY,
                                    MAGIC_TEXT_MAX_BYTES, out, &is_array, err);

    if (rc == NX_OK && is_array != want_array)
        return nx_fail(err, NX_EQUERY,
                       want_array ? "a pipeline is an array of stages" : "this takes an object");
    return rc;
}

/* --- fields ----------------------------------------------------------------------------------- */

struct field {
    const char *name;
    uint8_t type; /* NX_TYPE_*; MISSING: any */
    struct nx_value *out;
};

static bool has_type(const struct nx_value *value, uint8_t type)
{
    int64_t number;

    if (type == NX_TYPE_MISSING)
        return true;
    if (type == NX_TYPE_INT64)
        return nx_value_to_int64(value, &number) && number >= 0;
    return value->type == type;
}

static const char *expected(uint8_t type)
{
    return type == NX_TYPE_INT64 ? "a whole number from 0" : nx_type_name(type);
}

static enum nx_code take_fields(struct nx_slice doc, const struct field *fields, size_t count,
                                struct nx_err *err)
{
    struct nx_doc_iter iter;

    for (size_t i = 0; i < count; i++)
        *fields[i].out = NX_MISSING;
    nx_doc_iter_init(&iter, doc);
    while (nx_doc_iter_next(&iter)) {
        size_t i = 0;

        while (i < count && strcmp(fields[i].name, iter.key) != 0)
            i++;
        if (i == count)
            return nx_fail(err, NX_EQUERY, "unknown field '%.100s'", iter.key);
        if (!has_type(&iter.value, fields[i].type))
            return nx_fail(err, NX_EQUERY, "'%s' must be %s", fields[i].name,
                           expected(fields[i].type));
        *fields[i].out = iter.value;
    }
    return NX_OK;
}

static struct nx_slice slice_of(const struct nx_value *value)
{
    return value->type == NX_TYPE_MISSING ? NX_SLICE_NULL : nx_value_slice(value);
}

static uint64_t number_of(const struct nx_value *value)
{
    int64_t number = 0;

    return nx_value_to_int64(value, &number) ? (uint64_t)number : 0;
}

static bool flag_of(const struct nx_value *value)
{
    return value->type == NX_TYPE_BOOL && value->boolean;
}

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* --- opening ---------------------------------------------------------------------------------- */

/* `runs` false: nothing is read, not even to explain. */
static enum nx_code open_find(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino dir,
                              struct nx_slice text, bool runs, const struct nx_limits *limits,
                              struct nx_cursor **out, struct nx_err *err)
{
    struct nx_buf filter NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf options NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_value projection, sort, skip, limit, explain;
    const struct field fields[] = {{"projection", NX_TYPE_DOCUMENT, &projection},
                                   {"sort", NX_TYPE_DOCUMENT, &sort},
                                   {"skip", NX_TYPE_INT64, &skip},
                                   {"limit", NX_TYPE_INT64, &limit},
                                   {"explain", NX_TYPE_BOOL, &explain}};
    struct nx_json_scanner scanner;
    struct nx_find find = {0};
    size_t end = first_value(text, &scanner), rest = skip_space(text, end);
    enum nx_code rc = parse(nx_slice(text.data, end), false, &filter, err);

    if (rc == NX_OK && rest < text.len)
        rc = parse(nx_slice(text.data + rest, text.len - rest), false, &options, err);
    if (rc == NX_OK && rest < text.len)
        rc = take_fields(nx_buf_slice(&options), fields, COUNT(fields), err);
    if (rc != NX_OK)
        return rc;
    find.filter = nx_buf_slice(&filter);
    if (rest < text.len) {
        find.projection = slice_of(&projection);
        find.sort = slice_of(&sort);
        find.skip = number_of(&skip);
        find.limit = number_of(&limit);
        find.explain = runs && flag_of(&explain);
    }
    return nx_query_find(db, snapshot, dir, &find, limits, out, err);
}

static enum nx_code open_aggregate(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino dir,
                                   struct nx_slice text, const struct nx_limits *limits,
                                   struct nx_cursor **out, struct nx_err *err)
{
    struct nx_buf pipeline NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = parse(text, true, &pipeline, err);

    return rc == NX_OK ? nx_query_aggregate(db, snapshot, dir, nx_buf_slice(&pipeline), false,
                                            limits, out, err)
                       : rc;
}

static enum nx_code open_vsearch(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino dir,
                                 struct nx_slice text, const struct nx_limits *limits,
                                 struct nx_cursor **out, struct nx_err *err)
{
    struct nx_buf request NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf field NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_value vector, like, path, k, filter, metric, exact, ef;
    const struct field fields[] = {
        {"vector", NX_TYPE_ARRAY, &vector},    {"like", NX_TYPE_MISSING, &like},
        {"field", NX_TYPE_STRING, &path},      {"k", NX_TYPE_INT64, &k},
        {"filter", NX_TYPE_DOCUMENT, &filter}, {"metric", NX_TYPE_STRING, &metric},
        {"exact", NX_TYPE_BOOL, &exact},       {"ef", NX_TYPE_INT64, &ef}};
    struct nx_vsearch search = {0};
    enum nx_code rc = parse(text, false, &request, err);

    if (rc == NX_OK)
        rc = take_fields(nx_buf_slice(&request), fields, COUNT(fields), err);
    if (rc != NX_OK)
        return rc;
    if ((vector.type == NX_TYPE_MISSING) == (like.type == NX_TYPE_MISSING))
        return nx_fail(err, NX_EQUERY, "give one of 'vector' and 'like'");
    if (metric.type == NX_TYPE_STRING &&
        !nx_metric_from_name((const char *)metric.data, metric.len, &search.metric))
        return nx_fail(err, NX_EQUERY, "unknown metric '%.*s': cosine, l2 or dot",
                       metric.len < 40 ? (int)metric.len : 40, (const char *)metric.data);
    if (number_of(&k) > UINT32_MAX || number_of(&ef) > UINT32_MAX)
        return nx_fail(err, NX_EQUERY, "'k' and 'ef' are at most %u", UINT32_MAX);
    if (path.type == NX_TYPE_STRING && (nx_buf_append(&field, path.data, path.len) != NX_OK ||
                                        nx_buf_append_byte(&field, 0) != NX_OK))
        return nx_fail_nomem(err);
    search.vector = slice_of(&vector);
    search.like = like;
    search.field = field.len > 0 ? (char *)field.data : NULL;
    search.k = (uint32_t)number_of(&k);
    search.filter = slice_of(&filter);
    search.ef = (uint32_t)number_of(&ef);
    search.exact = flag_of(&exact);
    return nx_query_vsearch(db, snapshot, dir, &search, limits, out, err);
}

enum nx_code magic_text_open(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino dir,
                             enum magic_kind kind, struct nx_slice text,
                             const struct nx_limits *limits, struct nx_cursor **out,
                             struct nx_err *err)
{
    *out = NULL;
    if (kind == MAGIC_AGGREGATE)
        return open_aggregate(db, snapshot, dir, text, limits, out, err);
    if (kind == MAGIC_VSEARCH)
        return open_vsearch(db, snapshot, dir, text, limits, out, err);
    return open_find(db, snapshot, dir, text, true, limits, out, err);
}

enum nx_code magic_text_check(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino dir,
                              enum magic_kind kind, struct nx_slice text,
                              const struct nx_limits *limits, struct nx_err *err)
{
    struct nx_cursor *cursor = NULL;
    enum nx_code rc;

    if (kind == MAGIC_UPDATE)
        return magic_text_check_update(text, err);
    rc = kind == MAGIC_QUERY ? open_find(db, snapshot, dir, text, false, limits, &cursor, err)
                             : magic_text_open(db, snapshot, dir, kind, text, limits, &cursor, err);
    nx_cursor_close(cursor);
    return rc;
}

bool magic_text_writes(struct nx_slice text)
{
    struct nx_buf pipeline NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_doc_iter stages, stage;
    bool writes = false;

    if (parse(text, true, &pipeline, NULL) != NX_OK)
        return false;
    nx_doc_iter_init(&stages, nx_buf_slice(&pipeline));
    while (nx_doc_iter_next(&stages)) {
        if (stages.value.type != NX_TYPE_DOCUMENT)
            continue;
        nx_doc_iter_init(&stage, nx_value_slice(&stages.value));
        while (nx_doc_iter_next(&stage))
            writes = writes || strcmp(stage.key, "$out") == 0 || strcmp(stage.key, "$merge") == 0;
    }
    return writes;
}

/* --- .update ---------------------------------------------------------------------------------- */

static enum nx_code take_update(struct nx_slice text, struct nx_buf *request, struct nx_update *out,
                                struct nx_err *err)
{
    struct nx_value filter, update, multi, upsert, array_filters;
    const struct field fields[] = {{"filter", NX_TYPE_DOCUMENT, &filter},
                                   {"update", NX_TYPE_MISSING, &update},
                                   {"multi", NX_TYPE_BOOL, &multi},
                                   {"upsert", NX_TYPE_BOOL, &upsert},
                                   {"arrayFilters", NX_TYPE_ARRAY, &array_filters}};
    enum nx_code rc = parse(text, false, request, err);

    *out = (struct nx_update){0};
    if (rc == NX_OK)
        rc = take_fields(nx_buf_slice(request), fields, COUNT(fields), err);
    if (rc != NX_OK)
        return rc;
    if (update.type != NX_TYPE_DOCUMENT && update.type != NX_TYPE_ARRAY)
        return nx_fail(err, NX_EQUERY, "'update' must be an object or an array of stages");
    if (filter.type == NX_TYPE_MISSING)
        return nx_fail(err, NX_EQUERY, "'filter' is missing: {} stands for every document");
    *out = (struct nx_update){
        .filter = slice_of(&filter),
        .update = slice_of(&update),
        .is_pipeline = update.type == NX_TYPE_ARRAY,
        .multi = flag_of(&multi),
        .upsert = flag_of(&upsert),
        .array_filters = slice_of(&array_filters),
    };
    return NX_OK;
}

/* On an empty document what is unknown or malformed shows; what depends on values cannot. */
enum nx_code magic_text_check_update(struct nx_slice text, struct nx_err *err)
{
    struct nx_buf request NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf result NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_update update;
    bool matches;
    enum nx_code rc = take_update(text, &request, &update, err);

    if (rc == NX_OK)
        rc = nx_query_matches(update.filter, nx_doc_empty, &matches, err);
    if (rc != NX_OK)
        return rc;
    rc = nx_query_update_document(nx_doc_empty, update.update, update.is_pipeline, &result, err);
    return rc == NX_EOPERATOR || rc == NX_EQUERY ? rc : NX_OK;
}

enum nx_code magic_text_update(struct nx_db *db, nx_ino dir, struct nx_slice text,
                               const struct nx_change *change, const struct nx_limits *limits,
                               struct nx_update_result *out, struct nx_err *err)
{
    struct nx_buf request NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_update update;
    enum nx_code rc = take_update(text, &request, &update, err);

    return rc == NX_OK ? nx_query_update(db, dir, &update, change, limits, out, err) : rc;
}
