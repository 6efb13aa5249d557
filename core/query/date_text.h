/*
 * date_text.h - dates as text: formats with % as $dateToString has them, and reading them back.
 */
#ifndef QUERY_DATE_TEXT_H
#define QUERY_DATE_TEXT_H

#include <nexadb/buf.h>

#include "query/timezone.h"

#define DATE_TEXT_BYTES 48
/* "2020-01-02T03:04:05.678Z", NUL-terminated; returns its length. */
size_t date_write_iso(int64_t ms, char out[DATE_TEXT_BYTES]);

/* NX_EEXPR for an unknown letter, or a year that a format cannot show. Appends. */
enum nx_code date_format(int64_t utc_ms, const struct time_zone *zone, const char *format,
                         size_t len, struct nx_buf *out, struct nx_err *err);
/* `zone` NULL: UTC, and the text may name its own. NX_EEXPR. `format` NULL: any usual spelling. */
enum nx_code date_parse(struct nx_io *io, const char *text, size_t len, const char *format,
                        size_t format_len, const struct time_zone *zone, struct arena *arena,
                        int64_t *out, struct nx_err *err);
/* NX_EQUERY when `format` has an unknown letter. */
enum nx_code date_check_format(const char *format, size_t len, bool parsing, struct nx_err *err);

#endif
