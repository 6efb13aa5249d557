/*
 * document.h - finding, checking and changing one document for the routes.
 */
#ifndef DAEMON_DOCUMENT_H
#define DAEMON_DOCUMENT_H

#include "daemon/request.h"

/*
 * A document by the ID of a URL: the string, else the integer or ObjectId that it spells. `id` gets
 * the one found; of NX_ENOTFOUND the one that the file ID.json would have.
 */
enum nx_code document_find(struct request *req, nx_ino collection, const struct url_text *text,
                           struct nx_id *id, struct nx_buf *buf, struct nx_document *out,
                           struct nx_err *err);
/* NX_EPRECONDITION unless If-Match and If-None-Match allow it; `doc` NULL: there is none. */
enum nx_code document_check_match(const struct request *req, const struct nx_document *doc,
                                  struct nx_err *err);
bool document_has_etag(const char *header, uint64_t revision);
void document_put_etag(struct request *req, uint64_t revision);
/* "document_id" (or another key) as the Extended JSON of an id; key NULL: an element of an array.
 */
void document_put_id(struct json_out *out, const char *key, const struct nx_id *id);
/* Parse text into BSON; an array or a value is refused. */
enum nx_code document_parse(struct nx_slice text, enum nx_json_mode mode, struct nx_buf *out,
                            struct nx_err *err);
/* One change, acknowledged before the answer goes. */
enum nx_code document_commit(struct request *req, const struct nx_put *put, struct nx_id *id,
                             struct nx_write_result *result, struct nx_err *err);
enum nx_code document_remove(struct request *req, nx_ino collection, const struct nx_id *id,
                             uint64_t if_revision, struct nx_err *err);

#endif
