/*
 * error.h - what can go wrong: a code to branch on, a message for a person.
 *
 * A function that can fail returns enum nx_code and takes `struct nx_err *err` last; `err` may be
 * NULL. The caller owns it. A message names the object and the numbers. core/ never logs.
 */
#ifndef NEXADB_ERROR_H
#define NEXADB_ERROR_H

#include <stdint.h>

#include <nexadb/attributes.h>

/* X(code, "snake_case name shown in REST answers", "text when no message was set") */
#define NX_CODES(X)                                                                                \
    X(NX_OK, "ok", "no error")                                                                     \
    X(NX_DONE, "done", "no more results")                                                          \
    X(NX_EINVAL, "invalid_argument", "invalid argument")                                           \
    X(NX_EJSON, "invalid_json", "text is not valid JSON")                                          \
    X(NX_EDOC, "invalid_document", "not a valid document")                                         \
    X(NX_EID, "invalid_id", "not a valid _id")                                                     \
    X(NX_ENAME, "invalid_name", "not a valid name")                                                \
    X(NX_EQUERY, "invalid_query", "not a valid query")                                             \
    X(NX_EOPERATOR, "unknown_operator", "unknown operator")                                        \
    X(NX_EEXPR, "expression_error", "an expression failed")                                        \
    X(NX_EUPDATE, "invalid_update", "the update cannot be applied")                                \
    X(NX_EDIMENSION, "dimension_mismatch", "vectors of different dimensions")                      \
    X(NX_ENOTFOUND, "not_found", "not found")                                                      \
    X(NX_EEXISTS, "duplicate_key", "already exists")                                               \
    X(NX_ENOTDIR, "not_a_directory", "not a directory")                                            \
    X(NX_EISDIR, "is_a_directory", "is a directory")                                               \
    X(NX_ENOTEMPTY, "not_empty", "directory not empty")                                            \
    X(NX_EPERM, "not_permitted", "operation not permitted")                                        \
    X(NX_EACCES, "access_denied", "permission denied")                                             \
    X(NX_EROFS, "read_only", "the database is read-only")                                          \
    X(NX_ETOOBIG, "too_large", "larger than the limit")                                            \
    X(NX_ENAMETOOLONG, "name_too_long", "name too long")                                           \
    X(NX_ELOOP, "too_many_links", "too many links")                                                \
    X(NX_ENOSPC, "disk_full", "no space left on the device")                                       \
    X(NX_EIO, "io_error", "input/output error")                                                    \
    X(NX_ECORRUPT, "corrupt_data", "corrupt data")                                                 \
    X(NX_EVERSION, "unknown_format", "written by an unknown version")                              \
    X(NX_ENOMEM, "out_of_memory", "out of memory")                                                 \
    X(NX_EBUDGET, "memory_limit", "the query's memory limit was reached")                          \
    X(NX_ETIMEDOUT, "time_limit", "the time limit was reached")                                    \
    X(NX_ECANCELED, "canceled", "canceled")                                                        \
    X(NX_ECONFLICT, "write_conflict", "changed by another writer")                                 \
    X(NX_EPRECONDITION, "precondition_failed", "a precondition does not hold")                     \
    X(NX_EBUSY, "busy", "in use")                                                                  \
    X(NX_ELOCKED, "locked", "the data directory is in use by another process")                     \
    X(NX_EXDEV, "cross_device", "cannot be moved in one step: copy it and remove the original")    \
    X(NX_ENODATA, "no_data", "no data")                                                            \
    X(NX_EUNSUPPORTED, "unsupported", "not supported")                                             \
    X(NX_ECLOSED, "closed", "closed")                                                              \
    X(NX_EINTERNAL, "internal_error", "internal error")

enum nx_code {
#define X(code, name, text) code,
    NX_CODES(X)
#undef X
        NX_CODE_COUNT
};

struct nx_err {
    enum nx_code code;
    int sys_errno;     /* errno behind it, 0 when there is none */
    uint32_t line;     /* 1-based place in a text, 0 when there is none */
    uint32_t column;   /* 1-based, in bytes */
    int64_t index;     /* 0-based item of a list that failed, -1 when there is none */
    char message[480]; /* NUL-terminated, UTF-8 */
};

#define NX_ERR_INIT ((struct nx_err){.index = -1})

/* Set code and message, return `code`. `err` may be NULL. */
NX_API enum nx_code nx_fail(struct nx_err *err, enum nx_code code, const char *format, ...)
    NX_PRINTF(3, 4);

/* The same for a failed system call: maps `sys_errno` to a code and appends its text. */
NX_API enum nx_code nx_fail_errno(struct nx_err *err, int sys_errno, const char *format, ...)
    NX_PRINTF(3, 4);

/* NX_ENOMEM with a message; returns it. */
NX_API enum nx_code nx_fail_nomem(struct nx_err *err);

/* "duplicate_key" and "already exists"; never NULL. */
NX_API const char *nx_code_name(enum nx_code code);
NX_API const char *nx_code_text(enum nx_code code);

#endif
