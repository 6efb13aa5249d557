/*
 * iso_date.h - instants as ISO 8601 text. Proleptic Gregorian calendar, UTC. Threads: pure
 * functions.
 */
#ifndef DOC_ISO_DATE_H
#define DOC_ISO_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ISO_DATE_BYTES 24               /* "2020-01-01T00:00:00.000Z" */
#define ISO_DATE_MAX_MS 253402300799999 /* the end of the year 9999 */

/* "2020-01-01T00:00:00[.123]" with Z, +01:00, +0100 or +01. Digits past milliseconds are dropped.
 */
bool iso_date_parse(const char *text, size_t len, int64_t *out_ms);
/* Writes ISO_DATE_BYTES; `ms` is 0 to ISO_DATE_MAX_MS. */
void iso_date_write(int64_t ms, char *out);

#endif
