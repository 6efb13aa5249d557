/* refused.c - a job that keeps a refused text and then answers the rename. */
#include "fs/refused.h"

#include <stdlib.h>
#include <string.h>

#include "fs/errors.h"
#include "fs/pool.h"
#include "fs/rejected.h"

struct refused {
    struct job job;
    struct strand strand; /* of this job alone */
    struct parked *parked;
    nx_ino from_dir, dir;
    uint32_t uid, gid;
    struct nx_err err;
    char from[NX_NAME_MAX + 1], to[NX_NAME_MAX + 1];
};

bool refused_is_about_text(enum nx_code rc)
{
    return rc == NX_EJSON || rc == NX_EDOC || rc == NX_EID || rc == NX_ETOOBIG ||
           rc == NX_ECONFLICT;
}

/* False: there is no text that could have become a document. */
static bool read_source(struct fs *fs, const struct refused *refused, struct nx_buf *out)
{
    struct nx_attr attr;
    size_t got = 0;

    if (nx_db_lookup(fs->db, NULL, refused->from_dir, refused->from, strlen(refused->from), &attr,
                     NULL) != NX_OK ||
        attr.kind != NX_KIND_FILE || attr.size == 0 || attr.size > NX_DOC_MAX_BYTES ||
        nx_buf_resize(out, attr.size) != NX_OK)
        return false;
    if (nx_db_read(fs->db, NULL, attr.ino, 0, out->data, out->len, &got, NULL) != NX_OK)
        return false;
    out->len = got;
    return true;
}

static void run(struct job *job)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct refused *refused = (struct refused *)job;
    struct fs *fs = refused->parked->fs;
    bool has_text = read_source(fs, refused, &text);
    struct nx_err err = NX_ERR_INIT;
    nx_ino kept = 0;

    errors_add(fs->errors, refused->dir, refused->to, &refused->err, nx_buf_slice(&text));
    if (has_text && rejected_save(fs, refused->dir, refused->to, nx_buf_slice(&text), refused->uid,
                                  refused->gid, &kept, &err) != NX_OK)
        fs_log(fs, "%s: refused text could not be kept: %s", refused->to, err.message);
    if (refused->err.code == NX_ECONFLICT) /* the kernel tries a rename again on ESTALE */
        refused->err.code = NX_EBUSY;
    parked_finish(refused->parked, refused->err.code, &refused->err);
    free(refused);
}

void refused_rename(struct parked *parked, nx_ino from_dir, const char *from, nx_ino dir,
                    const char *to, const struct nx_err *err)
{
    const struct fuse_ctx *caller = fuse_req_ctx(parked->req);
    struct refused *refused = calloc(1, sizeof *refused);

    if (!refused || strlen(from) > NX_NAME_MAX || strlen(to) > NX_NAME_MAX) {
        free(refused);
        parked_finish(parked, err->code == NX_ECONFLICT ? NX_EBUSY : err->code, err);
        return;
    }
    refused->job = (struct job){.run = run, .ends_strand = true};
    refused->parked = parked;
    refused->from_dir = from_dir;
    refused->dir = dir;
    refused->uid = caller->uid;
    refused->gid = caller->gid;
    refused->err = *err;
    memcpy(refused->from, from, strlen(from));
    memcpy(refused->to, to, strlen(to));
    pool_submit(parked->fs->pool, &refused->strand, &refused->job);
}
