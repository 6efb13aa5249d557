/* routes.c - the rows of the REST interface. Reserved words stand before "{id}". */
#include "daemon/routes.h"

#define C "/collections/{coll}"
#define NO_FIELDS NULL, 0

/* clang-format off */
static const struct route rows[] = {
    {METHOD_GET, "/status", route_status, ROLE_NONE, ROUTE_INLINE, "name and version", NO_FIELDS, NULL},
    {METHOD_GET, "/health", route_health, ROLE_NONE, ROUTE_INLINE, "200 while the database can read and write", NO_FIELDS, NULL},
    {METHOD_GET, "/openapi.json", route_openapi, ROLE_NONE, ROUTE_INLINE, "this list, as OpenAPI 3.1", NO_FIELDS, NULL},
    {METHOD_GET, "/metrics", route_metrics, ROLE_READ, 0, "figures for Prometheus", NO_FIELDS, NULL},
    {METHOD_GET, "/stats", route_stats, ROLE_READ, 0, "sizes and engine figures", NO_FIELDS, NULL},
    {METHOD_GET, "/keys", route_keys_list, ROLE_ADMIN, 0, "the API keys, without their values", NO_FIELDS, NULL},
    {METHOD_POST, "/keys", route_keys_create, ROLE_ADMIN, 0, "make an API key, shown once", key_fields, KEY_FIELDS, NULL},
    {METHOD_DELETE, "/keys/{name}", route_keys_revoke, ROLE_ADMIN, 0, "revoke an API key", NO_FIELDS, NULL},
    {METHOD_POST, "/batch", route_batch, ROLE_WRITE, 0, "changes to several collections, all or none", batch_fields, BATCH_FIELDS, NULL},
    {METHOD_GET, "/changes", route_changes, ROLE_READ, ROUTE_PARAMS, "what changes anywhere, as server-sent events", changes_fields, CHANGES_FIELDS, NULL},
    {METHOD_GET, "/collections", route_collections, ROLE_READ, 0, "names of the collections", NO_FIELDS, NULL},
    {METHOD_GET, C, route_find, ROLE_READ, ROUTE_PARAMS, "documents", find_fields, FIND_FIELDS, NULL},
    {METHOD_POST, C, route_document_insert, ROLE_WRITE, ROUTE_RAW, "insert a document", NO_FIELDS, NULL},
    {METHOD_DELETE, C, route_drop, ROLE_WRITE, 0, "drop a collection and what is nested in it", NO_FIELDS, NULL},
    {METHOD_POST, C "/bulk", route_bulk, ROLE_WRITE, ROUTE_RAW, "insert many documents", NO_FIELDS, NULL},
    {METHOD_POST, C "/query", route_find, ROLE_READ, 0, "documents that match", find_fields, FIND_FIELDS, NULL},
    {METHOD_POST, C "/aggregate", route_aggregate, ROLE_READ, 0, "run a pipeline", aggregate_fields, AGGREGATE_FIELDS, NULL},
    {METHOD_POST, C "/update", route_update, ROLE_WRITE, 0, "update what matches", update_fields, UPDATE_FIELDS, NULL},
    {METHOD_POST, C "/delete", route_delete, ROLE_WRITE, 0, "delete what matches", delete_fields, DELETE_FIELDS, NULL},
    {METHOD_POST, C "/count", route_count, ROLE_READ, 0, "count what matches", count_fields, COUNT_FIELDS, NULL},
    {METHOD_POST, C "/distinct", route_distinct, ROLE_READ, 0, "distinct values of a field", distinct_fields, DISTINCT_FIELDS, NULL},
    {METHOD_GET, C "/changes", route_changes, ROLE_READ, ROUTE_PARAMS, "what changes in a collection, as server-sent events", changes_fields, CHANGES_FIELDS, NULL},
    {METHOD_GET, C "/export", route_export, ROLE_READ, 0, "every document, one a line", NO_FIELDS, NULL},
    {METHOD_POST, C "/import", route_import, ROLE_WRITE, ROUTE_STREAM, "upsert NDJSON, a JSON array or CSV, streamed", NO_FIELDS, route_import_feed},
    {METHOD_POST, "/vector/{coll}/search", route_vsearch, ROLE_READ, 0, "documents with the nearest vectors", vsearch_fields, VSEARCH_FIELDS, NULL},
    {METHOD_GET, C "/documents/{id}", route_document_get, ROLE_READ, 0, "a document", NO_FIELDS, NULL},
    {METHOD_PUT, C "/documents/{id}", route_document_put, ROLE_WRITE, ROUTE_RAW, "merge fields, or ?replace=true", NO_FIELDS, NULL},
    {METHOD_PATCH, C "/documents/{id}", route_document_patch, ROLE_WRITE, ROUTE_RAW, "update operators, a merge patch, or a JSON Patch", NO_FIELDS, NULL},
    {METHOD_DELETE, C "/documents/{id}", route_document_delete, ROLE_WRITE, 0, "delete a document", NO_FIELDS, NULL},
    {METHOD_GET, C "/{id}", route_document_get, ROLE_READ, 0, "a document", NO_FIELDS, NULL},
    {METHOD_PUT, C "/{id}", route_document_put, ROLE_WRITE, ROUTE_RAW, "merge fields, or ?replace=true", NO_FIELDS, NULL},
    {METHOD_PATCH, C "/{id}", route_document_patch, ROLE_WRITE, ROUTE_RAW, "update operators, a merge patch, or a JSON Patch", NO_FIELDS, NULL},
    {METHOD_DELETE, C "/{id}", route_document_delete, ROLE_WRITE, 0, "delete a document", NO_FIELDS, NULL},
};
/* clang-format on */

const struct route_table route_table = {rows, sizeof rows / sizeof rows[0]};
