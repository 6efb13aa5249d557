/*
 * errno.c - nx_code to errno.
 *
 * What a person typed wrong is EINVAL ("Invalid argument"): EIO would make tools blame the disk. A
 * lost update is ESTALE, except for rename, where the kernel would try again on ESTALE: names.c
 * sends EBUSY.
 */
#include "fs/errno.h"

#include <errno.h>
#include <stddef.h>

struct row {
    int number;
    bool internal;
};

static const struct row rows[] = {
    [NX_OK] = {0, false},
    [NX_DONE] = {0, false},
    [NX_EINVAL] = {EINVAL, false},
    [NX_EJSON] = {EINVAL, false},
    [NX_EDOC] = {EINVAL, false},
    [NX_EID] = {EINVAL, false},
    [NX_ENAME] = {EINVAL, false},
    [NX_EQUERY] = {EINVAL, false},
    [NX_EOPERATOR] = {EINVAL, false},
    [NX_EEXPR] = {EINVAL, false},
    [NX_EUPDATE] = {EINVAL, false},
    [NX_EDIMENSION] = {EINVAL, false},
    [NX_ENOTFOUND] = {ENOENT, false},
    [NX_EEXISTS] = {EEXIST, false},
    [NX_ENOTDIR] = {ENOTDIR, false},
    [NX_EISDIR] = {EISDIR, false},
    [NX_ENOTEMPTY] = {ENOTEMPTY, false},
    [NX_EPERM] = {EPERM, false},
    [NX_EACCES] = {EACCES, false},
    [NX_EROFS] = {EROFS, false},
    [NX_ETOOBIG] = {EFBIG, false},
    [NX_ENAMETOOLONG] = {ENAMETOOLONG, false},
    [NX_ELOOP] = {EMLINK, false},
    [NX_ENOSPC] = {ENOSPC, true},
    [NX_EIO] = {EIO, true},
    [NX_ECORRUPT] = {EIO, true},
    [NX_EVERSION] = {EIO, true},
    [NX_ENOMEM] = {ENOMEM, true},
    [NX_EBUDGET] = {ENOMEM, false},
    [NX_ETIMEDOUT] = {ETIMEDOUT, false},
    [NX_ECANCELED] = {EINTR, false},
    [NX_ECONFLICT] = {ESTALE, false},
    [NX_EPRECONDITION] = {ESTALE, false},
    [NX_EBUSY] = {EBUSY, false},
    [NX_ELOCKED] = {EBUSY, false},
    [NX_EXDEV] = {EXDEV, false},
    [NX_ENODATA] = {ENODATA, false},
    [NX_EUNSUPPORTED] = {EOPNOTSUPP, false},
    [NX_ECLOSED] = {EIO, true},
    [NX_EINTERNAL] = {EIO, true},
};
_Static_assert(sizeof rows / sizeof rows[0] == NX_CODE_COUNT, "a row for each nx_code");

int fs_errno(enum nx_code code)
{
    return (unsigned)code < NX_CODE_COUNT ? rows[code].number : EIO;
}

bool fs_errno_is_internal(enum nx_code code)
{
    return (unsigned)code >= NX_CODE_COUNT || rows[code].internal;
}
