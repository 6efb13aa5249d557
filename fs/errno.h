/* errno.h - the one place where an nx_code becomes an errno. */
#ifndef FS_ERRNO_H
#define FS_ERRNO_H

#include <stdbool.h>

#include <nexadb/error.h>

/* Positive errno; 0 for NX_OK and NX_DONE. */
int fs_errno(enum nx_code code);
/* True for what is no fault of the caller's: such a failure is logged. */
bool fs_errno_is_internal(enum nx_code code);

#endif
