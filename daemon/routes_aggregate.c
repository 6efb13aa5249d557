/* routes_aggregate.c - pipelines and vector search. */
#include "daemon/result.h"
#include "daemon/routes.h"
#include "daemon/service.h"

const struct field aggregate_fields[AGGREGATE_FIELDS] = {
    {"pipeline", FIELD_ARRAY | FIELD_REQUIRED, "the stages, an array"},
    {"explain", FIELD_BOOL, "tell the plan instead"},
    {"maxTimeMS", FIELD_COUNT, "give up after so long"},
};
enum { A_PIPELINE, A_EXPLAIN, A_TIME };

const struct field vsearch_fields[VSEARCH_FIELDS] = {
    {"vector", FIELD_ARRAY, "the vector to be near, an array of numbers"},
    {"like", FIELD_ANY, "instead: the _id of a document whose vector is taken"},
    {"limit", FIELD_COUNT, "so many results: 10 when not given"},
    {"dimensions", FIELD_COUNT, "refuse a vector of another number"},
    {"field", FIELD_TEXT, "where the vectors are: vector"},
    {"metric", FIELD_TEXT, "cosine, l2 or dot"},
    {"filter", FIELD_OBJECT, "only documents that match"},
    {"exact", FIELD_BOOL, "compare with every vector"},
    {"ef", FIELD_COUNT, "candidates to visit in an index"},
    {"maxTimeMS", FIELD_COUNT, "give up after so long"},
};
enum {
    V_VECTOR,
    V_LIKE,
    V_LIMIT,
    V_DIMENSIONS,
    V_FIELD,
    V_METRIC,
    V_FILTER,
    V_EXACT,
    V_EF,
    V_TIME
};

enum nx_code route_aggregate(struct request *req, struct nx_err *err)
{
    struct nx_cursor *cursor;
    enum nx_code rc;
    nx_ino ino;

    rc = request_read_fields(req, err);
    if (rc == NX_OK)
        rc = request_find_collection(req, request_collection(req), false, &ino, err);
    if (rc == NX_OK)
        rc = nx_query_aggregate(req->service->db, NULL, ino, request_doc(req, A_PIPELINE),
                                request_bool(req, A_EXPLAIN),
                                request_limits(req, request_number(req, A_TIME, 0)), &cursor, err);
    if (rc != NX_OK)
        return rc;
    return result_answer(req, cursor, "results", 0, NX_JSON_RELAXED, err);
}

static enum nx_code read_vsearch(struct request *req, struct nx_vsearch *search, struct nx_err *err)
{
    struct nx_value metric = req->field[V_METRIC];
    uint64_t k = request_number(req, V_LIMIT, 10), ef = request_number(req, V_EF, 0);

    if (request_has(req, V_VECTOR) == request_has(req, V_LIKE))
        return nx_fail(err, NX_EINVAL, "give either \"vector\" or \"like\"");
    if (k == 0 || k > 100000 || ef > 100000 || request_number(req, V_DIMENSIONS, 0) > UINT32_MAX)
        return nx_fail(err, NX_EINVAL,
                       "\"limit\" and \"ef\" are at most 100000, \"limit\" at least 1");
    *search = (struct nx_vsearch){
        .vector = request_doc(req, V_VECTOR),
        .like = req->field[V_LIKE],
        .field = request_has(req, V_FIELD) ? (const char *)req->field[V_FIELD].data : NULL,
        .k = (uint32_t)k,
        .filter = request_doc(req, V_FILTER),
        .dimensions = (uint32_t)request_number(req, V_DIMENSIONS, 0),
        .ef = (uint32_t)ef,
        .exact = request_bool(req, V_EXACT),
    };
    if (request_has(req, V_METRIC) &&
        !nx_metric_from_name((const char *)metric.data, metric.len, &search->metric))
        return nx_fail(err, NX_EINVAL, "\"metric\" must be cosine, l2 or dot");
    return NX_OK;
}

enum nx_code route_vsearch(struct request *req, struct nx_err *err)
{
    struct nx_vsearch search;
    struct nx_cursor *cursor;
    enum nx_code rc;
    nx_ino ino;

    rc = request_read_fields(req, err);
    if (rc == NX_OK)
        rc = read_vsearch(req, &search, err);
    if (rc == NX_OK)
        rc = request_find_collection(req, request_collection(req), false, &ino, err);
    if (rc == NX_OK)
        rc = nx_query_vsearch(req->service->db, NULL, ino, &search,
                              request_limits(req, request_number(req, V_TIME, 0)), &cursor, err);
    if (rc != NX_OK)
        return rc;
    return result_answer(req, cursor, "results", 0, NX_JSON_EXACT, err);
}
