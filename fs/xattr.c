/*
 * xattr.c - extended attributes: who may have which is mostly the kernel's to check, what they hold
 * is the store's.
 *
 * The kernel lets only regular files and directories have `user.` names, and only root have
 * `trusted.` ones; it names no one the names of others. ACLs would promise checks that nobody
 * makes.
 */
#include "fs/xattr.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "fs/magic.h"
#include "fs/place.h"
#include "fs/reply.h"

static bool starts_with(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static const char *const namespaces[] = {"user.", "trusted.", "security."};

/* 0 when the mount has attributes of this name; NULL: of any. */
static int refuse(fuse_req_t req, const char *name)
{
    if (!fs_of(req)->options.xattr)
        return ENOSYS;
    for (size_t i = 0; name && i < sizeof namespaces / sizeof namespaces[0]; i++)
        if (starts_with(name, namespaces[i]))
            return name[strlen(namespaces[i])] ? 0 : EINVAL;
    return name ? EOPNOTSUPP : 0;
}

/* The length when `size` is 0, which asks for it. */
static void answer(fuse_req_t req, const struct nx_buf *value, size_t size)
{
    if (size == 0)
        fuse_reply_xattr(req, value->len);
    else if (value->len > size)
        fuse_reply_err(req, ERANGE);
    else
        fuse_reply_buf(req, (const char *)value->data, value->len);
}

static enum nx_code read_names(fuse_req_t req, const struct fs_place *place, struct nx_buf *out,
                               struct nx_err *err)
{
    struct nx_buf names NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    bool root = fuse_req_ctx(req)->uid == 0;
    enum nx_code rc = nx_db_xattr_list(fs_of(req)->db, place->snapshot, place->ino, &names, err);

    for (size_t at = 0; rc == NX_OK && at < names.len;) {
        const char *name = (const char *)names.data + at;

        at += strlen(name) + 1;
        if (root || !starts_with(name, "trusted."))
            rc = nx_buf_append(out, name, strlen(name) + 1);
    }
    return rc;
}

/* `name` NULL: the list of names. A magic file has none. */
static void read_and_answer(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    struct nx_buf value NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    struct fs_place place;
    int error = refuse(req, name);
    enum nx_code rc;

    if (error || (name && magic_is(ino))) {
        fuse_reply_err(req, error ? error : ENODATA);
        return;
    }
    if (magic_is(ino)) {
        answer(req, &value, size);
        return;
    }
    rc = place_open(fs_of(req), ino, &place, &err);
    if (rc == NX_OK)
        rc = name ? nx_db_xattr_get(fs_of(req)->db, place.snapshot, place.ino, nx_slice_str(name),
                                    &value, &err)
                  : read_names(req, &place, &value, &err);
    place_close(&place);
    if (rc == NX_OK)
        answer(req, &value, size);
    else if (rc == NX_ENOTFOUND)
        fuse_reply_err(req, ESTALE);
    else
        reply_fail(req, "getxattr", &err);
}

void xattr_get(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    read_and_answer(req, ino, name, size);
}

void xattr_list(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    read_and_answer(req, ino, NULL, size);
}

/* `value` NULL: remove it. */
static void change(fuse_req_t req, fuse_ino_t ino, const char *name, const struct nx_slice *value,
                   unsigned flags)
{
    struct nx_err err = NX_ERR_INIT;
    int error = refuse(req, name);
    struct nx_change change;
    struct parked *parked;
    enum nx_code rc;

    if (!error && (fs_of(req)->options.read_only || place_snapshot(ino)))
        error = EROFS;
    if (!error && magic_is(ino))
        error = EPERM;
    if (error) {
        fuse_reply_err(req, error);
        return;
    }
    parked = parked_new(req, "setxattr", PARKED_STATUS);
    if (!parked)
        return;
    change = parked_change(parked);
    rc = value ? nx_db_xattr_set(parked->fs->db, ino, nx_slice_str(name), *value, flags, &change,
                                 &err)
               : nx_db_xattr_remove(parked->fs->db, ino, nx_slice_str(name), &change, &err);
    if (rc == NX_ETOOBIG)
        rc = NX_ENOSPC; /* as other file systems say that a node has no room for more */
    parked_finish(parked, rc == NX_ENOTFOUND ? NX_ECONFLICT : rc, &err); /* gone: ESTALE */
}

void xattr_set(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
               int flags)
{
    struct nx_slice slice = nx_slice(value, size);

    change(req, ino, name, &slice,
           (flags & XATTR_CREATE ? NX_XATTR_CREATE : 0u) |
               (flags & XATTR_REPLACE ? NX_XATTR_REPLACE : 0u));
}

void xattr_remove(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    change(req, ino, name, NULL, 0);
}
