/* routes_collection.c - listing and dropping collections. */
#include "daemon/routes.h"
#include "daemon/service.h"

struct listing {
    const struct request *req;
    struct json_out *out;
    uint64_t count;
};

static bool list_one(void *arg, const char *path, const struct nx_attr *attr, uint64_t documents)
{
    struct listing *listing = arg;
    size_t len = strlen(path);

    (void)attr, (void)documents;
    if (!identity_covers(&listing->req->who, path, len))
        return true;
    json_item_text(listing->out, path, len);
    listing->count++;
    return listing->out->failed == NX_OK;
}

enum nx_code route_collections(struct request *req, struct nx_err *err)
{
    struct json_out out;
    struct listing listing = {.req = req, .out = &out};
    enum nx_code rc;

    request_answer(req, &out);
    json_open(&out, "collections", '[');
    rc = nx_db_each_collection(req->service->db, NULL, list_one, &listing, err);
    if (rc != NX_OK)
        return rc;
    json_close(&out, ']');
    json_uint(&out, "count", listing.count);
    return request_answered(req, &out, 200, err);
}

enum nx_code route_drop(struct request *req, struct nx_err *err)
{
    struct nx_slice path = request_collection(req);
    struct nx_change change;
    struct json_out out;
    enum nx_code rc;
    nx_ino ino;

    rc = request_find_collection(req, path, true, &ino, err);
    if (rc != NX_OK)
        return rc;
    change = request_change(req);
    rc = request_changed(req, nx_db_drop(req->service->db, ino, &change, err));
    if (rc != NX_OK)
        return rc;
    request_answer(req, &out);
    json_text(&out, "collection", (const char *)path.data, path.len);
    json_text_z(&out, "message", "Collection dropped");
    return request_answered(req, &out, 200, err);
}
