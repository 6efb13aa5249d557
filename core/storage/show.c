/* show.c - keys and lines as text. */
#include "storage/show.h"

#include <stdarg.h>
#include <stdio.h>

const char *show_key(struct nx_slice key, char out[SHOW_BYTES])
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < key.len; i++) {
        bool is_plain = key.data[i] > ' ' && key.data[i] < 0x7f && key.data[i] != '\\';

        if (len + 8 > SHOW_BYTES) {
            snprintf(out + len, SHOW_BYTES - len, "...");
            break;
        }
        len +=
            (size_t)snprintf(out + len, SHOW_BYTES - len, is_plain ? "%c" : "\\x%02x", key.data[i]);
    }
    return out;
}

void show_line(const struct show *show, const char *format, ...)
{
    char line[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    show->fn(show->arg, line);
}
