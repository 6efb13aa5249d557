/* routes_query.c - find, count and distinct. */
#include "daemon/result.h"
#include "daemon/routes.h"
#include "daemon/service.h"

const struct field find_fields[FIND_FIELDS] = {
    {"query", FIELD_OBJECT, "the filter"},
    {"filter", FIELD_OBJECT, "the same as query"},
    {"projection", FIELD_OBJECT, "fields to return"},
    {"sort", FIELD_OBJECT, "order of the result"},
    {"skip", FIELD_COUNT, "pass over so many"},
    {"limit", FIELD_COUNT, "at most so many: 100 when not given, 0 for all"},
    {"cursor", FIELD_TEXT, "\"next\" of the answer before"},
    {"explain", FIELD_BOOL, "tell the plan instead"},
    {"maxTimeMS", FIELD_COUNT, "give up after so long"},
};
enum { F_QUERY, F_FILTER, F_PROJECTION, F_SORT, F_SKIP, F_LIMIT, F_CURSOR, F_EXPLAIN, F_TIME };

const struct field count_fields[COUNT_FIELDS] = {
    {"query", FIELD_OBJECT, "the filter"},
    {"filter", FIELD_OBJECT, "the same as query"},
    {"skip", FIELD_COUNT, "pass over so many"},
    {"limit", FIELD_COUNT, "count to so many"},
    {"maxTimeMS", FIELD_COUNT, "give up after so long"},
};
enum { C_QUERY, C_FILTER, C_SKIP, C_LIMIT, C_TIME };

const struct field distinct_fields[DISTINCT_FIELDS] = {
    {"field", FIELD_TEXT | FIELD_REQUIRED, "the field's path"},
    {"query", FIELD_OBJECT, "the filter"},
    {"filter", FIELD_OBJECT, "the same as query"},
    {"maxTimeMS", FIELD_COUNT, "give up after so long"},
};
enum { D_FIELD, D_QUERY, D_FILTER, D_TIME };

enum { DEFAULT_LIMIT = 100 };

static enum nx_code one_filter(const struct request *req, unsigned query, unsigned filter,
                               struct nx_slice *out, struct nx_err *err)
{
    if (request_has(req, query) && request_has(req, filter))
        return nx_fail(err, NX_EINVAL, "\"query\" and \"filter\" are the same: give one of them");
    *out = request_doc(req, request_has(req, query) ? query : filter);
    return NX_OK;
}

/* --- handlers --------------------------------------------------------------------------------- */

enum nx_code route_find(struct request *req, struct nx_err *err)
{
    struct nx_find find = {0};
    struct nx_cursor *cursor;
    uint64_t limit;
    enum nx_code rc;
    nx_ino ino;

    rc = request_read_fields(req, err);
    if (rc == NX_OK)
        rc = one_filter(req, F_QUERY, F_FILTER, &find.filter, err);
    if (rc == NX_OK)
        rc = request_find_collection(req, request_collection(req), false, &ino, err);
    if (rc != NX_OK)
        return rc;
    find.projection = request_doc(req, F_PROJECTION);
    find.sort = request_doc(req, F_SORT);
    find.skip = request_number(req, F_SKIP, 0);
    find.explain = request_bool(req, F_EXPLAIN);
    find.after = request_doc(req, F_CURSOR);
    limit = request_number(req, F_LIMIT, DEFAULT_LIMIT);
    find.limit = limit ? limit + 1 : 0; /* one more tells whether the answer is cut */
    rc = nx_query_find(req->service->db, NULL, ino, &find,
                       request_limits(req, request_number(req, F_TIME, 0)), &cursor, err);
    if (rc != NX_OK)
        return rc;
    return result_answer(req, cursor, "documents", limit,
                         find.explain ? NX_JSON_RELAXED : NX_JSON_EXACT, err);
}

enum nx_code route_count(struct request *req, struct nx_err *err)
{
    struct nx_slice filter;
    struct json_out out;
    uint64_t count = 0;
    enum nx_code rc;
    nx_ino ino;

    rc = request_read_fields(req, err);
    if (rc == NX_OK)
        rc = one_filter(req, C_QUERY, C_FILTER, &filter, err);
    if (rc == NX_OK)
        rc = request_find_collection(req, request_collection(req), false, &ino, err);
    if (rc == NX_OK)
        rc = nx_query_count(req->service->db, NULL, ino, filter, request_number(req, C_SKIP, 0),
                            request_number(req, C_LIMIT, 0),
                            request_limits(req, request_number(req, C_TIME, 0)), &count, err);
    if (rc != NX_OK)
        return rc;
    request_answer(req, &out);
    json_uint(&out, "count", count);
    return request_answered(req, &out, 200, err);
}

enum nx_code route_distinct(struct request *req, struct nx_err *err)
{
    struct nx_buf values NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_slice filter;
    struct nx_value field, list;
    struct json_out out;
    enum nx_code rc;
    nx_ino ino;

    rc = request_read_fields(req, err);
    if (rc == NX_OK)
        rc = one_filter(req, D_QUERY, D_FILTER, &filter, err);
    if (rc == NX_OK)
        rc = request_find_collection(req, request_collection(req), false, &ino, err);
    if (rc != NX_OK)
        return rc;
    field = req->field[D_FIELD];
    rc = nx_query_distinct(req->service->db, NULL, ino, (const char *)field.data, field.len, filter,
                           request_limits(req, request_number(req, D_TIME, 0)), &values, err);
    if (rc != NX_OK)
        return rc;
    list = nx_array_value(nx_buf_slice(&values));
    request_answer(req, &out);
    json_value(&out, "values", &list, NX_JSON_RELAXED);
    return request_answered(req, &out, 200, err);
}
