/* show.h - lines for people: what the tools say. */
#ifndef STORAGE_SHOW_H
#define STORAGE_SHOW_H

#include <nexadb/salvage.h>

enum { SHOW_BYTES = 192 };
/* A key as text; bytes that are not printable as \xHH, a long one cut. Returns `out`. */
const char *show_key(struct nx_slice key, char out[SHOW_BYTES]);

/* Where lines go. */
struct show {
    nx_line_fn fn;
    void *arg;
};
void show_line(const struct show *show, const char *format, ...) NX_PRINTF(2, 3);

#endif
