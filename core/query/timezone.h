/*
 * timezone.h - time zones: offsets such as "+05:30", and Olson names from the system's database.
 *
 * Threads: a zone is immutable. It lives in the arena that it was parsed into.
 */
#ifndef QUERY_TIMEZONE_H
#define QUERY_TIMEZONE_H

#include <nexadb/io.h>

#include "base/arena.h"

struct time_zone;
extern const struct time_zone timezone_utc;

/* NX_EEXPR for a name that is no zone. */
enum nx_code timezone_parse(struct nx_io *io, const char *text, size_t len, struct arena *arena,
                            const struct time_zone **out, struct nx_err *err);
bool timezone_is_utc(const struct time_zone *zone);
/* Milliseconds to add to UTC at that instant. */
int64_t timezone_offset(const struct time_zone *zone, int64_t utc_ms);
int64_t timezone_to_local(const struct time_zone *zone, int64_t utc_ms);
/* The earlier instant of a local time that comes twice; one that is skipped moves forward. */
int64_t timezone_to_utc(const struct time_zone *zone, int64_t local_ms);

#endif
