/* meta.h - the keys of the database itself. Format: FORMAT.md, "Meta". */
#ifndef STORE_META_H
#define STORE_META_H

#include <nexadb/buf.h>

#define STORE_FORMAT 2u

#define META_FORMAT                                                                                \
    nx_slice("\x01"                                                                                \
             "format",                                                                             \
             7) /* u32 */
#define META_UUID                                                                                  \
    nx_slice("\x01"                                                                                \
             "uuid",                                                                               \
             5) /* 16 random bytes */
#define META_NEXT                                                                                  \
    nx_slice("\x01"                                                                                \
             "next",                                                                               \
             5) /* u64: no number from here on was given */

#endif
