/* status.h - the HTTP status of each error code: one table. */
#ifndef DAEMON_STATUS_H
#define DAEMON_STATUS_H

#include <nexadb/error.h>

unsigned status_of(enum nx_code code);
/* True for failures that are the server's: they are logged. */
static inline int status_is_ours(unsigned status)
{
    return status == 500 || status == 507;
}

#endif
