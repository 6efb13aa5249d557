/* status.c - what an error of the core is in HTTP. */
#include "daemon/status.h"

#include <stdint.h>

static const uint16_t statuses[] = {
    [NX_OK] = 200,           [NX_DONE] = 200,         [NX_EINVAL] = 400,
    [NX_EJSON] = 400,        [NX_EDOC] = 400,         [NX_EID] = 400,
    [NX_ENAME] = 400,        [NX_EQUERY] = 400,       [NX_EOPERATOR] = 400,
    [NX_EEXPR] = 400,        [NX_EUPDATE] = 400,      [NX_EDIMENSION] = 400,
    [NX_ENOTFOUND] = 404,    [NX_EEXISTS] = 409,      [NX_ENOTDIR] = 409,
    [NX_EISDIR] = 409,       [NX_ENOTEMPTY] = 409,    [NX_EPERM] = 403,
    [NX_EACCES] = 403,       [NX_EROFS] = 403,        [NX_ETOOBIG] = 413,
    [NX_ENAMETOOLONG] = 400, [NX_ELOOP] = 409,        [NX_ENOSPC] = 507,
    [NX_EIO] = 500,          [NX_ECORRUPT] = 500,     [NX_EVERSION] = 500,
    [NX_ENOMEM] = 503,       [NX_EBUDGET] = 507,      [NX_ETIMEDOUT] = 504,
    [NX_ECANCELED] = 503,    [NX_ECONFLICT] = 409,    [NX_EPRECONDITION] = 412,
    [NX_EXDEV] = 409,        [NX_EBUSY] = 503,        [NX_ELOCKED] = 503,
    [NX_ENODATA] = 404,      [NX_EUNSUPPORTED] = 400, [NX_ECLOSED] = 503,
    [NX_EINTERNAL] = 500,
};

_Static_assert(sizeof statuses / sizeof statuses[0] == NX_CODE_COUNT, "one row a code");

unsigned status_of(enum nx_code code)
{
    return (unsigned)code < NX_CODE_COUNT && statuses[code] ? statuses[code] : 500;
}
