/*
 * reply.h - answers: attributes and timeouts, errors, and requests that wait for a commit.
 *
 * Threads: any; a request is answered once.
 */
#ifndef FS_REPLY_H
#define FS_REPLY_H

#include <sys/stat.h>

#include "fs/mount.h"

void reply_stat(const struct nx_attr *attr, struct stat *out);
/* What fills a directory entry; `generation` as it was before the store was read. */
void reply_fill_entry(struct fs *fs, const struct nx_attr *attr, uint64_t generation,
                      struct fuse_entry_param *out);
void reply_entry(fuse_req_t req, const struct nx_attr *attr, uint64_t generation);
void reply_missing(fuse_req_t req, uint64_t generation); /* a name that is not there, remembered */
void reply_attr(fuse_req_t req, const struct nx_attr *attr, uint64_t generation);
/* Answers with the errno, and logs what is no fault of the caller's. `what` names the request. */
void reply_fail(fuse_req_t req, const char *what, const struct nx_err *err);

/* A buffer of this thread, at least `size` bytes, valid until the next call on it; NULL without
 * memory. */
void *reply_scratch(size_t size);

/* --- a request that waits for its commit -------------------------------------------------------
 */

enum parked_answer {
    PARKED_STATUS,
    PARKED_ENTRY,
    PARKED_ATTR,
    PARKED_CREATE,
    PARKED_OPEN,
    PARKED_WRITE
};

struct parked {
    fuse_req_t req;
    struct fs *fs;
    const char *what;
    enum parked_answer answer;
    atomic_int left;     /* the handler and the acknowledgement; acq_rel: the last one sees all */
    struct nx_err error; /* of the acknowledgement; code NX_OK: none */
    enum nx_code
        refused; /* NX_OK, or what the handler failed with after the commit was on its way */
    struct nx_attr attr; /* ENTRY, ATTR, CREATE */
    uint64_t generation;
    struct fuse_file_info file; /* CREATE, OPEN */
    size_t written;             /* WRITE */
    bool other_door; /* through a result directory: the kernel is told of it as of REST's changes,
                        and hears of it before the answer (settle.h) */
};

/* NULL when out of memory: the request has been answered. */
struct parked *parked_new(fuse_req_t req, const char *what, enum parked_answer answer);
/* A change of the caller's, whose completion is `parked`'s. */
struct nx_change parked_change(struct parked *parked);
/* The handler's end of it: `rc` and `err` as the store returned them. Then it is gone. */
void parked_finish(struct parked *parked, enum nx_code rc, const struct nx_err *err);
/* The same without a commit: the answer was prepared from the store as of `generation`. */
void parked_finish_done(struct parked *parked, enum nx_code rc, const struct nx_err *err,
                        uint64_t generation);
/* Answer after everything committed so far is on stable storage. */
void reply_when_synced(fuse_req_t req, const char *what);

#endif
