/*
 * request.c - from a head to a response: routing, keys, limits, fields, and the wait for commits.
 */
#include "daemon/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/routes.h"
#include "daemon/service.h"
#include "daemon/status.h"

const char *const header_names[HEADER_COUNT] = {
    "X-API-Key", "Authorization", "Content-Type", "Content-Length", "Accept",
    "If-Match",  "If-None-Match", "Origin",       "Expect",         "Last-Event-ID",
};

void request_init(struct request *req, struct service *service)
{
    memset(req, 0, sizeof *req);
    req->service = service;
    req->response.type = "application/json";
    atomic_init(&req->holds, 1);
    atomic_flag_clear(&req->late);
}

void request_fini(struct request *req)
{
    if (req->feed_close)
        req->feed_close(req->feed_state);
    url_fini(&req->url);
    nx_buf_fini(&req->body);
    nx_buf_fini(&req->fields);
    response_fini(&req->response);
}

/* --- the head --------------------------------------------------------------------------------- */

static void add_cors(struct request *req)
{
    const char *allowed = req->service->config->cors_origin;
    const char *origin = req->header[HEADER_ORIGIN];

    if (!allowed || !*allowed || !origin)
        return;
    if (strcmp(allowed, "*") != 0 && strcmp(allowed, origin) != 0)
        return;
    response_add_header(&req->response, "Access-Control-Allow-Origin", allowed);
    response_add_header(&req->response, "Access-Control-Expose-Headers", "ETag");
    response_add_header(&req->response, "Vary", "Origin");
}

static void answer_options(struct request *req, const char *allow)
{
    struct response *response = &req->response;

    response->status = 204;
    response_add_header(response, "Allow", allow);
    add_cors(req);
    if (response->headers < 2)
        return;
    response_add_header(response, "Access-Control-Allow-Methods", allow);
    response_add_header(response, "Access-Control-Allow-Headers",
                        "Authorization, Content-Type, If-Match, If-None-Match, Last-Event-ID, "
                        "X-API-Key");
    response_add_header(response, "Access-Control-Max-Age", "600");
}

static void refuse_path(struct request *req, const char *target)
{
    char message[256], allow[96];

    if (req->method == METHOD_OPTIONS && !strcmp(target, "*")) {
        router_allow((1u << METHOD_COUNT) - 1, allow, sizeof allow);
        answer_options(req, allow);
        return;
    }
    if (!req->match.allowed) {
        snprintf(message, sizeof message,
                 "there is nothing at %.160s; GET /openapi.json lists what is", target);
        response_refuse(&req->response, 404, "not_found", message);
        return;
    }
    router_allow(req->match.allowed, allow, sizeof allow);
    if (req->method == METHOD_OPTIONS) {
        answer_options(req, allow);
        return;
    }
    snprintf(message, sizeof message, "this path answers %s", allow);
    response_refuse(&req->response, 405, "method_not_allowed", message);
    response_add_header(&req->response, "Allow", allow);
}

static const char *presented_key(const struct request *req)
{
    const char *bearer = req->header[HEADER_AUTHORIZATION];

    if (req->header[HEADER_API_KEY])
        return req->header[HEADER_API_KEY];
    if (!bearer || strncasecmp(bearer, "Bearer ", 7) != 0)
        return NULL;
    bearer += 7;
    return bearer + strspn(bearer, " ");
}

static int64_t now_ms(struct request *req)
{
    struct nx_io *io = nx_db_io(req->service->db);

    return (int64_t)(io->ops->realtime_ns(io) / 1000000);
}

static void refuse_key(struct request *req, bool given)
{
    response_refuse(&req->response, 401, "unauthorized",
                    given ? "this API key is not known, or has expired"
                          : "an API key is needed: send the header X-API-Key; the first key is in "
                            "DATADIR/api.key");
    response_add_header(&req->response, "WWW-Authenticate", "Bearer realm=\"nexadb\"");
}

static bool authenticate(struct request *req)
{
    const char *key = presented_key(req);

    if (req->trusted) {
        req->who.role = ROLE_ADMIN;
        return true;
    }
    if (key && keyring_check(req->service->keyring, key, now_ms(req), &req->who))
        return true;
    refuse_key(req, key != NULL);
    return false;
}

static void authorise(struct request *req)
{
    const struct route *route = req->match.route;
    struct nx_err err = NX_ERR_INIT;
    bool names_one = strstr(route->pattern, "{coll}") != NULL;

    if (route->role == ROLE_NONE || !authenticate(req))
        return;
    if (request_may(req, route->role, names_one ? request_collection(req) : NX_SLICE_NULL, &err) !=
        NX_OK)
        response_fail(&req->response, &err);
}

static void check_length(struct request *req)
{
    const char *text = req->header[HEADER_CONTENT_LENGTH];
    uint64_t limit = req->service->config->max_body_bytes;
    char message[160];

    if (!text || (req->match.route->flags & ROUTE_STREAM) || strtoull(text, NULL, 10) <= limit)
        return;
    snprintf(message, sizeof message,
             "a body of %.20s bytes is over the limit of %llu (--max-body-bytes)", text,
             (unsigned long long)limit);
    response_refuse(&req->response, 413, "too_large", message);
}

/* A misspelt durability must not pass for the stronger one that the client did not ask for. */
static void check_durability(struct request *req)
{
    const struct url_text *asked = url_param(&req->url, "durability");

    if (asked && strcmp(asked->text, "sync") != 0 && strcmp(asked->text, "buffered") != 0)
        response_refuse(&req->response, 400, "invalid_argument",
                        "the parameter durability is sync or buffered");
}

void request_begin(struct request *req, const char *target, const char *method)
{
    struct nx_err err = NX_ERR_INIT;

    req->method = method_from_name(method);
    atomic_fetch_add_explicit(&req->service->requests, 1, memory_order_relaxed);
    if (strlen(target) > URL_MAX_BYTES) {
        response_refuse(&req->response, 414, "uri_too_long", "the URL is over 8,192 bytes");
        return;
    }
    if (url_parse(target, &req->url, &err) != NX_OK) {
        response_fail(&req->response, &err);
        return;
    }
    router_match(&route_table, req->method, &req->url, &req->match);
    if (!req->match.route) {
        refuse_path(req, target);
        return;
    }
    authorise(req);
    if (!request_is_answered(req))
        check_durability(req);
    if (!request_is_answered(req))
        check_length(req);
}

/* --- running ---------------------------------------------------------------------------------- */

static void send_response(struct request *req)
{
    if (req->response.status != 204)
        add_cors(req);
    if (req->response.status >= 400)
        atomic_fetch_add_explicit(&req->service->failures, 1, memory_order_relaxed);
    req->finished(req->finished_arg);
}

static void on_drained(void *arg, const struct nx_err *err)
{
    (void)err; /* the mount shows the change late, which is no failure of the write */
    send_response(arg);
}

static void fail_request(struct request *req, const struct nx_err *err)
{
    if (status_is_ours(status_of(err->code)))
        log_line(LOG_ERROR, "http", "%s %s: %s", method_names[req->method],
                 req->match.route->pattern, err->message);
    response_fail(&req->response, err);
}

static void release(struct request *req)
{
    if (atomic_fetch_sub_explicit(&req->holds, 1, memory_order_acq_rel) != 1)
        return;
    if (req->has_late_err)
        fail_request(req, &req->late_err);
    if (atomic_load_explicit(&req->committed, memory_order_relaxed))
        nx_db_drain(req->service->db, on_drained, req);
    else
        send_response(req);
}

static void on_acknowledged(void *arg, const struct nx_err *err)
{
    struct request *req = arg;

    if (err && !atomic_flag_test_and_set(&req->late)) {
        req->late_err = *err;
        req->has_late_err = true;
    }
    release(req);
}

static void run_with(struct request *req, route_fn fn)
{
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc = fn(req, &err);

    if (rc == NX_OK)
        return;
    err.code = rc;
    fail_request(req, &err);
}

void request_run(struct request *req)
{
    if (!request_is_answered(req))
        run_with(req, req->match.route->run);
    release(req);
}

void request_feed(struct request *req)
{
    if (!request_is_answered(req))
        run_with(req, req->match.route->feed);
    nx_buf_clear(&req->body);
}

struct nx_change request_step(struct request *req)
{
    (void)req;
    return (struct nx_change){.durability = NX_BUFFERED, .uid = getuid(), .gid = getgid()};
}

static enum nx_durability durability_of(const struct request *req)
{
    const struct url_text *asked = url_param(&req->url, "durability");

    if (asked)
        return strcmp(asked->text, "buffered") ? NX_SYNC : NX_BUFFERED;
    return req->service->config->durability == CONFIG_BUFFERED ? NX_BUFFERED : NX_SYNC;
}

struct nx_change request_change(struct request *req)
{
    struct nx_change change = request_step(req);

    change.durability = durability_of(req);
    change.done = on_acknowledged;
    change.arg = req;
    atomic_fetch_add_explicit(&req->holds, 1, memory_order_relaxed);
    return change;
}

enum nx_code request_changed(struct request *req, enum nx_code rc)
{
    if (rc == NX_OK)
        atomic_store_explicit(&req->committed, true, memory_order_relaxed);
    else
        release(req); /* never the last: the handler holds one */
    return rc;
}

void request_sync(struct request *req)
{
    atomic_store_explicit(&req->committed, true, memory_order_relaxed);
    if (durability_of(req) != NX_SYNC)
        return;
    atomic_fetch_add_explicit(&req->holds, 1, memory_order_relaxed);
    nx_engine_sync_async(nx_db_engine(req->service->db), on_acknowledged, req);
}

/* --- rights and collections ------------------------------------------------------------------- */

enum nx_code request_may(const struct request *req, enum role role, struct nx_slice path,
                         struct nx_err *err)
{
    if (req->who.role < role)
        return nx_fail(err, NX_EACCES, "this needs a key with role %s; '%s' has role %s",
                       role_name(role), req->who.name, role_name(req->who.role));
    if (path.data && !identity_covers(&req->who, (const char *)path.data, path.len))
        return nx_fail(err, NX_EACCES, "the key '%s' is for collections that begin with '%s'",
                       req->who.name, req->who.prefix);
    return NX_OK;
}

static bool may_read(void *arg, const char *path, size_t len)
{
    return request_may(arg, ROLE_READ, nx_slice(path, len), NULL) == NX_OK;
}

static bool may_write(void *arg, const char *path, size_t len)
{
    return request_may(arg, ROLE_WRITE, nx_slice(path, len), NULL) == NX_OK;
}

const struct nx_limits *request_limits(struct request *req, uint64_t max_time_ms)
{
    const struct config *config = req->service->config;
    uint64_t time_ms = config->query_time_ms;

    if (max_time_ms && (!time_ms || max_time_ms < time_ms))
        time_ms = max_time_ms;
    req->limits = (struct nx_limits){
        .memory_bytes = config->query_memory_bytes,
        .time_ms = time_ms,
        .canceled = &req->canceled,
        .may_read = may_read,
        .may_write = may_write,
        .arg = req,
    };
    return &req->limits;
}

enum nx_code request_find_collection(struct request *req, struct nx_slice path, bool must,
                                     nx_ino *ino, struct nx_err *err)
{
    struct nx_err why = NX_ERR_INIT;
    struct nx_attr attr;
    enum nx_code rc;

    *ino = 0;
    if (!path.len)
        return nx_fail(err, NX_ENAME, "a collection's name is empty");
    rc = nx_db_collection(req->service->db, NULL, (const char *)path.data, path.len, &attr, &why);
    if (rc == NX_OK)
        *ino = attr.ino;
    if (rc == NX_ENOTFOUND && !must)
        return NX_OK;
    if (rc == NX_ENOTFOUND)
        return nx_fail(err, rc, "there is no collection '%.*s'",
                       path.len > 255 ? 255 : (int)path.len, (const char *)path.data);
    if (rc != NX_OK && err)
        *err = why;
    return rc;
}

enum nx_code request_make_collection(struct request *req, struct nx_slice path, nx_ino *ino,
                                     struct nx_err *err)
{
    struct nx_change change = request_step(req);
    struct nx_attr attr;
    enum nx_code rc = nx_db_collection_make(req->service->db, (const char *)path.data, path.len,
                                            &change, &attr, err);

    *ino = rc == NX_OK ? attr.ino : 0;
    return rc;
}

/* --- fields ----------------------------------------------------------------------------------- */

static const struct {
    unsigned kind;
    const char *text;
} kinds[] = {
    {FIELD_OBJECT, "an object"},
    {FIELD_ARRAY, "an array"},
    {FIELD_COUNT, "a whole number from 0"},
    {FIELD_BOOL, "true or false"},
    {FIELD_TEXT, "a string"},
};

static unsigned kind_of(const struct nx_value *value)
{
    int64_t number;

    switch (value->type) {
    case NX_TYPE_DOCUMENT:
        return FIELD_OBJECT;
    case NX_TYPE_ARRAY:
        return FIELD_ARRAY;
    case NX_TYPE_BOOL:
        return FIELD_BOOL;
    case NX_TYPE_STRING:
        return FIELD_TEXT;
    default:
        return nx_value_to_int64(value, &number) && number >= 0 ? FIELD_COUNT : 0;
    }
}

static enum nx_code wrong_kind(const struct field *field, struct nx_err *err)
{
    char wanted[120] = "";
    size_t n = 0;

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (field->kind & kinds[i].kind)
            n += (size_t)snprintf(wanted + n, sizeof wanted - n, "%s%s", n ? " or " : "",
                                  kinds[i].text);
    return nx_fail(err, NX_EINVAL, "\"%s\" must be %s", field->name, wanted);
}

static enum nx_code unknown_field(const struct route *route, const char *what, const char *name,
                                  struct nx_err *err)
{
    char known[300] = "";
    size_t n = 0;

    for (size_t i = 0; i < route->field_count && n < sizeof known; i++)
        n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", n ? ", " : "",
                              route->fields[i].name);
    return nx_fail(err, NX_EINVAL, "unknown %s \"%.64s\"; this takes: %s", what, name, known);
}

static const struct field *find_field(const struct route *route, const char *name)
{
    for (size_t i = 0; i < route->field_count; i++)
        if (!strcmp(route->fields[i].name, name))
            return &route->fields[i];
    return NULL;
}

enum nx_code request_take_fields(struct request *req, struct nx_slice doc, struct nx_err *err)
{
    const struct route *route = req->match.route;
    struct nx_doc_iter iter;

    for (size_t i = 0; i < REQUEST_MAX_FIELDS; i++)
        req->field[i] = NX_MISSING;
    nx_doc_iter_init(&iter, doc);
    while (nx_doc_iter_next(&iter)) {
        const struct field *field = find_field(route, iter.key);

        if (!field)
            return unknown_field(route, "member", iter.key, err);
        if (!(field->kind & (FIELD_ANY | kind_of(&iter.value))))
            return wrong_kind(field, err);
        req->field[field - route->fields] = iter.value;
    }
    for (size_t i = 0; i < route->field_count; i++)
        if ((route->fields[i].kind & FIELD_REQUIRED) && !request_has(req, (unsigned)i))
            return nx_fail(err, NX_EINVAL, "\"%s\" is missing: %s", route->fields[i].name,
                           route->fields[i].help);
    return NX_OK;
}

/* Parameters that any route understands. */
static bool is_common_param(const char *name)
{
    static const char *const names[] = {"durability", "replace"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

static enum nx_code put_param(struct nx_builder *b, const struct field *field,
                              const struct url_param *param, struct nx_err *err)
{
    struct nx_buf parsed NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err why = NX_ERR_INIT;
    struct nx_doc_iter iter;
    enum nx_code rc;

    if (field->kind & FIELD_TEXT) {
        nx_builder_put_z(b, field->name, nx_string(param->value.text, param->value.len));
        return NX_OK;
    }
    rc = nx_json_parse_value(param->value.text, param->value.len, NX_JSON_QUERY, &parsed, &why);
    if (rc != NX_OK && !(field->kind & (FIELD_OBJECT | FIELD_ARRAY | FIELD_ANY)))
        return wrong_kind(field, err);
    if (rc != NX_OK)
        return nx_fail(err, rc, "parameter %s: %s", field->name, why.message);
    nx_doc_iter_init(&iter, nx_buf_slice(&parsed));
    if (nx_doc_iter_next(&iter))
        nx_builder_put_z(b, field->name, iter.value);
    return NX_OK;
}

static enum nx_code fields_from_params(struct request *req, struct nx_err *err)
{
    const struct route *route = req->match.route;
    struct nx_builder b;
    enum nx_code rc = NX_OK;

    nx_builder_init(&b, &req->fields);
    for (size_t i = 0; i < req->url.params && rc == NX_OK; i++) {
        const struct url_param *param = &req->url.param[i];
        const struct field *field = find_field(route, param->name.text);

        if (field)
            rc = put_param(&b, field, param, err);
        else if (!is_common_param(param->name.text))
            rc = unknown_field(route, "parameter", param->name.text, err);
    }
    return rc == NX_OK ? nx_builder_end(&b, err) : rc;
}

static enum nx_code fields_from_body(struct request *req, struct nx_err *err)
{
    const char *text = req->body.len ? (const char *)req->body.data : "{}";
    bool is_array;
    enum nx_code rc;

    rc = nx_json_parse(text, req->body.len ? req->body.len : 2, NX_JSON_QUERY,
                       req->service->config->max_body_bytes, &req->fields, &is_array, err);
    if (rc == NX_OK && is_array)
        return nx_fail(err, NX_EINVAL, "the body must be an object, not an array");
    return rc;
}

enum nx_code request_read_fields(struct request *req, struct nx_err *err)
{
    bool params = req->match.route->flags & ROUTE_PARAMS;
    enum nx_code rc = params ? fields_from_params(req, err) : fields_from_body(req, err);

    return rc == NX_OK ? request_take_fields(req, nx_buf_slice(&req->fields), err) : rc;
}

struct nx_slice request_doc(const struct request *req, unsigned field)
{
    return request_has(req, field) ? nx_value_slice(&req->field[field]) : NX_SLICE_NULL;
}

uint64_t request_number(const struct request *req, unsigned field, uint64_t fallback)
{
    int64_t number;

    return nx_value_to_int64(&req->field[field], &number) ? (uint64_t)number : fallback;
}

bool request_bool(const struct request *req, unsigned field)
{
    return req->field[field].type == NX_TYPE_BOOL && req->field[field].boolean;
}

bool request_param_is_set(const struct request *req, const char *name)
{
    const struct url_text *value = url_param(&req->url, name);

    return value && (!value->len || !strcmp(value->text, "true") || !strcmp(value->text, "1"));
}

bool request_wants_lines(const struct request *req)
{
    const char *accept = req->header[HEADER_ACCEPT];

    return accept && strcasestr(accept, "application/x-ndjson");
}

/* --- answers ---------------------------------------------------------------------------------- */

void request_answer(struct request *req, struct json_out *out)
{
    nx_buf_clear(&req->response.body);
    json_init(out, &req->response.body);
    json_raw(out, "{");
    json_text_z(out, "status", "success");
}

enum nx_code request_answered(struct request *req, struct json_out *out, unsigned status,
                              struct nx_err *err)
{
    json_raw(out, "}\n");
    if (out->failed != NX_OK)
        return nx_fail(err, out->failed, "the answer could not be written");
    req->response.status = status;
    return NX_OK;
}
