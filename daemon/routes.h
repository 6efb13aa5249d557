/* routes.h - the rows of the REST interface, and the handlers behind them. */
#ifndef DAEMON_ROUTES_H
#define DAEMON_ROUTES_H

#include "daemon/request.h"

extern const struct route_table route_table;

/* routes_admin.c */
enum nx_code route_status(struct request *req, struct nx_err *err);
enum nx_code route_health(struct request *req, struct nx_err *err);
enum nx_code route_metrics(struct request *req, struct nx_err *err);
enum nx_code route_stats(struct request *req, struct nx_err *err);
enum nx_code route_keys_list(struct request *req, struct nx_err *err);
enum nx_code route_keys_create(struct request *req, struct nx_err *err);
enum nx_code route_keys_revoke(struct request *req, struct nx_err *err);
enum { KEY_FIELDS = 5 };
extern const struct field key_fields[KEY_FIELDS];

/* openapi.c */
enum nx_code route_openapi(struct request *req, struct nx_err *err);

/* routes_collection.c */
enum nx_code route_collections(struct request *req, struct nx_err *err);
enum nx_code route_drop(struct request *req, struct nx_err *err);

/* routes_document.c */
enum nx_code route_document_get(struct request *req, struct nx_err *err);
enum nx_code route_document_insert(struct request *req, struct nx_err *err);
enum nx_code route_document_put(struct request *req, struct nx_err *err);
enum nx_code route_document_patch(struct request *req, struct nx_err *err);
enum nx_code route_document_delete(struct request *req, struct nx_err *err);

/* routes_aggregate.c */
enum nx_code route_aggregate(struct request *req, struct nx_err *err);
enum nx_code route_vsearch(struct request *req, struct nx_err *err);

/* routes_query.c */
enum nx_code route_find(struct request *req, struct nx_err *err);
enum nx_code route_count(struct request *req, struct nx_err *err);
enum nx_code route_distinct(struct request *req, struct nx_err *err);
enum {
    FIND_FIELDS = 9,
    AGGREGATE_FIELDS = 3,
    VSEARCH_FIELDS = 10,
    COUNT_FIELDS = 5,
    DISTINCT_FIELDS = 4,
};
extern const struct field find_fields[FIND_FIELDS], aggregate_fields[AGGREGATE_FIELDS],
    vsearch_fields[VSEARCH_FIELDS], count_fields[COUNT_FIELDS], distinct_fields[DISTINCT_FIELDS];

/* routes_change.c */
enum nx_code route_update(struct request *req, struct nx_err *err);
enum nx_code route_delete(struct request *req, struct nx_err *err);
enum nx_code route_batch(struct request *req, struct nx_err *err);
enum { UPDATE_FIELDS = 6, DELETE_FIELDS = 3, BATCH_FIELDS = 1 };
extern const struct field update_fields[UPDATE_FIELDS], delete_fields[DELETE_FIELDS],
    batch_fields[BATCH_FIELDS];

/* routes_feed.c */
enum nx_code route_changes(struct request *req, struct nx_err *err);
enum { CHANGES_FIELDS = 2 };
extern const struct field changes_fields[CHANGES_FIELDS];

/* routes_bulk.c */
enum nx_code route_bulk(struct request *req, struct nx_err *err);
enum nx_code route_export(struct request *req, struct nx_err *err);
enum nx_code route_import(struct request *req, struct nx_err *err);
enum nx_code route_import_feed(struct request *req, struct nx_err *err);

#endif
