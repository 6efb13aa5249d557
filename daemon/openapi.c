/*
 * openapi.c - the route table as an OpenAPI 3.1 document.
 *
 * Rows of one pattern follow one another or not: each pattern is written at its first row, with the
 * methods of all its rows.
 */
#include <ctype.h>
#include <stdio.h>

#include <nexadb/version.h>

#include "daemon/routes.h"

static bool is_first_of_pattern(const struct route *row)
{
    const struct route *other = route_table.rows;

    while (strcmp(other->pattern, row->pattern) != 0)
        other++;
    return other == row;
}

static void put_parameter(struct json_out *out, const char *name, size_t len, const char *in,
                          const char *help, bool required)
{
    json_open(out, NULL, '{');
    json_text(out, "name", name, len);
    json_text_z(out, "in", in);
    json_bool(out, "required", required);
    if (help)
        json_text_z(out, "description", help);
    json_open(out, "schema", '{');
    json_text_z(out, "type", "string");
    json_close(out, '}');
    json_close(out, '}');
}

static void put_parameters(struct json_out *out, const struct route *row)
{
    json_open(out, "parameters", '[');
    for (const char *at = strchr(row->pattern, '{'); at; at = strchr(at + 1, '{'))
        put_parameter(out, at + 1, strcspn(at + 1, "}"), "path", NULL, true);
    for (size_t i = 0; i < row->field_count && (row->flags & ROUTE_PARAMS); i++)
        put_parameter(out, row->fields[i].name, strlen(row->fields[i].name), "query",
                      row->fields[i].help, false);
    json_close(out, ']');
}

static void put_types(struct json_out *out, unsigned kind)
{
    static const struct {
        unsigned kind;
        const char *type;
    } types[] = {{FIELD_OBJECT, "object"},
                 {FIELD_ARRAY, "array"},
                 {FIELD_COUNT, "integer"},
                 {FIELD_BOOL, "boolean"},
                 {FIELD_TEXT, "string"}};

    if (kind & FIELD_ANY)
        return;
    json_open(out, "type", '[');
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (kind & types[i].kind)
            json_item_text(out, types[i].type, strlen(types[i].type));
    json_close(out, ']');
}

static void put_schema(struct json_out *out, const struct route *row)
{
    json_open(out, "schema", '{');
    json_text_z(out, "type", "object");
    json_bool(out, "additionalProperties", row->flags & ROUTE_RAW);
    json_open(out, "properties", '{');
    for (size_t i = 0; i < row->field_count; i++) {
        json_open(out, row->fields[i].name, '{');
        json_text_z(out, "description", row->fields[i].help);
        put_types(out, row->fields[i].kind);
        json_close(out, '}');
    }
    json_close(out, '}');
    json_open(out, "required", '[');
    for (size_t i = 0; i < row->field_count; i++)
        if (row->fields[i].kind & FIELD_REQUIRED)
            json_item_text(out, row->fields[i].name, strlen(row->fields[i].name));
    json_close(out, ']');
    json_close(out, '}');
}

static void put_body(struct json_out *out, const struct route *row)
{
    json_open(out, "requestBody", '{');
    json_open(out, "content", '{');
    if (row->flags & ROUTE_STREAM) {
        json_open(out, "application/x-ndjson", '{');
        json_close(out, '}');
        json_open(out, "text/csv", '{');
        json_close(out, '}');
    }
    json_open(out, "application/json", '{');
    if (!(row->flags & ROUTE_STREAM))
        put_schema(out, row);
    json_close(out, '}');
    json_close(out, '}');
    json_close(out, '}');
}

static void put_operation(struct json_out *out, const struct route *row)
{
    char method[16];
    size_t len = strlen(method_names[row->method]);

    for (size_t i = 0; i <= len; i++)
        method[i] = (char)tolower((unsigned char)method_names[row->method][i]);
    json_open(out, method, '{');
    json_text_z(out, "summary", row->summary);
    put_parameters(out, row);
    if (row->method != METHOD_GET && row->method != METHOD_DELETE)
        put_body(out, row);
    if (row->role == ROLE_NONE) {
        json_open(out, "security", '[');
        json_close(out, ']');
    } else {
        json_text_z(out, "x-role", role_name(row->role));
    }
    json_open(out, "responses", '{');
    json_open(out, "default", '{');
    json_text_z(out, "description", "{\"status\":\"success\", ...} or {\"status\":\"error\", ...}");
    json_close(out, '}');
    json_close(out, '}');
    json_close(out, '}');
}

static void put_path(struct json_out *out, const char *pattern)
{
    json_open(out, pattern, '{');
    for (size_t i = 0; i < route_table.count; i++)
        if (!strcmp(route_table.rows[i].pattern, pattern))
            put_operation(out, &route_table.rows[i]);
    json_close(out, '}');
}

static void put_security(struct json_out *out)
{
    json_raw(out, ",\"components\":{\"securitySchemes\":{\"key\":{\"type\":\"apiKey\",\"in\":"
                  "\"header\",\"name\":\"X-API-Key\"},\"bearer\":{\"type\":\"http\",\"scheme\":"
                  "\"bearer\"}}},\"security\":[{\"key\":[]},{\"bearer\":[]}]");
}

enum nx_code route_openapi(struct request *req, struct nx_err *err)
{
    struct json_out out;

    json_init(&out, &req->response.body);
    json_raw(&out, "{");
    json_text_z(&out, "openapi", "3.1.0");
    json_open(&out, "info", '{');
    json_text_z(&out, "title", "NexaDB");
    json_text_z(&out, "version", NX_VERSION);
    json_close(&out, '}');
    json_open(&out, "paths", '{');
    for (size_t i = 0; i < route_table.count; i++)
        if (is_first_of_pattern(&route_table.rows[i]))
            put_path(&out, route_table.rows[i].pattern);
    json_close(&out, '}');
    put_security(&out);
    return request_answered(req, &out, 200, err);
}
