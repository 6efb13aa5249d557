/* error.c - the code table, and filling in a struct nx_err. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <nexadb/error.h>

static const struct {
    const char *name;
    const char *text;
} codes[] = {
#define X(code, name, text) {name, text},
    NX_CODES(X)
#undef X
};

_Static_assert(sizeof codes / sizeof codes[0] == NX_CODE_COUNT, "one row a code");

static const struct {
    int sys_errno;
    enum nx_code code;
} from_errno[] = {
    {ENOENT, NX_ENOTFOUND},
    {EEXIST, NX_EEXISTS},
    {ENOTDIR, NX_ENOTDIR},
    {EISDIR, NX_EISDIR},
    {ENOTEMPTY, NX_ENOTEMPTY},
    {EPERM, NX_EPERM},
    {EACCES, NX_EACCES},
    {EROFS, NX_EROFS},
    {EFBIG, NX_ETOOBIG},
    {ENOSPC, NX_ENOSPC},
    {EDQUOT, NX_ENOSPC},
    {ENOMEM, NX_ENOMEM},
    {EBUSY, NX_EBUSY},
    {EINVAL, NX_EINVAL},
    {ENAMETOOLONG, NX_ENAMETOOLONG},
    {ELOOP, NX_ELOOP},
    {ETIMEDOUT, NX_ETIMEDOUT},
    {ECANCELED, NX_ECANCELED},
    {EXDEV, NX_EXDEV},
    {ENODATA, NX_ENODATA},
    {ENOSYS, NX_EUNSUPPORTED},
    {EOPNOTSUPP, NX_EUNSUPPORTED},
};

static NX_PRINTF(4, 0) void set_message(struct nx_err *err, enum nx_code code, int sys_errno,
                                        const char *format, va_list args)
{
    int n;

    *err = NX_ERR_INIT;
    err->code = code;
    err->sys_errno = sys_errno;
    n = vsnprintf(err->message, sizeof err->message, format, args);
    if (n < 0)
        n = 0;
    if (sys_errno && (size_t)n < sizeof err->message)
        snprintf(err->message + n, sizeof err->message - (size_t)n, ": %s",
                 strerrordesc_np(sys_errno) ? strerrordesc_np(sys_errno) : "unknown error");
}

enum nx_code nx_fail(struct nx_err *err, enum nx_code code, const char *format, ...)
{
    va_list args;

    if (err) {
        va_start(args, format);
        set_message(err, code, 0, format, args);
        va_end(args);
    }
    return code;
}

enum nx_code nx_fail_errno(struct nx_err *err, int sys_errno, const char *format, ...)
{
    enum nx_code code = NX_EIO;
    va_list args;

    for (size_t i = 0; i < sizeof from_errno / sizeof from_errno[0]; i++)
        if (from_errno[i].sys_errno == sys_errno)
            code = from_errno[i].code;
    if (err) {
        va_start(args, format);
        set_message(err, code, sys_errno, format, args);
        va_end(args);
    }
    return code;
}

enum nx_code nx_fail_nomem(struct nx_err *err)
{
    return nx_fail(err, NX_ENOMEM, "out of memory");
}

const char *nx_code_name(enum nx_code code)
{
    return (unsigned)code < NX_CODE_COUNT ? codes[code].name : "internal_error";
}

const char *nx_code_text(enum nx_code code)
{
    return (unsigned)code < NX_CODE_COUNT ? codes[code].text : "internal error";
}
