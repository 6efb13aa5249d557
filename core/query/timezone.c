/*
 * timezone.c - reading the compiled zone files of the system (RFC 8536).
 *
 * A file gives the transitions so far and, in its footer, the rule for the years after them. Files
 * are input like any other: every count is checked against the length.
 */
#include "query/timezone.h"

#include <stdlib.h>

#include <nexadb/buf.h>

#include "base/bytes.h"
#include "query/civil.h"

#define ZONE_DIR "/usr/share/zoneinfo/"
#define NAME_MAX_BYTES 100
#define FILE_MAX_BYTES (256u << 10)
#define HEADER_BYTES 44
#define OFFSET_MAX_SECONDS (26 * 3600)

enum rule_kind { RULE_NONE, RULE_WEEKDAY, RULE_JULIAN, RULE_DAY };

/* When in each year a clock is changed. */
struct rule {
    enum rule_kind kind;
    int month, week, day; /* WEEKDAY: the week-th `day` (0 Sunday) of the month, 5 the last */
    int time_s;           /* local seconds of that day, may be outside it */
};

struct time_zone {
    int32_t fixed_s; /* without transitions and rules; before the first transition */
    uint32_t count;
    const int64_t *at_s;     /* transitions, ascending */
    const int32_t *offset_s; /* from each on */
    bool has_footer;
    int32_t standard_s, summer_s;
    struct rule begin, end; /* of summer time; NONE when there is none */
};

const struct time_zone timezone_utc = {0};

bool timezone_is_utc(const struct time_zone *zone)
{
    return zone->fixed_s == 0 && zone->count == 0 && !zone->has_footer;
}

/* --- the footer: a POSIX TZ string ------------------------------------------------------------ */

static const char *skip_name(const char *at)
{
    if (*at == '<') {
        while (*at && *at != '>')
            at++;
        return *at ? at + 1 : NULL;
    }
    while ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z'))
        at++;
    return at;
}

static const char *read_int(const char *at, int *out)
{
    int n = 0;

    if (*at < '0' || *at > '9')
        return NULL;
    while (*at >= '0' && *at <= '9') {
        n = n * 10 + (*at++ - '0');
        if (n > 1000)
            return NULL;
    }
    *out = n;
    return at;
}

/* [+-]hh[:mm[:ss]] */
static const char *read_seconds(const char *at, int *out)
{
    int sign = *at == '-' ? -1 : 1, part, unit = 3600;

    at += *at == '-' || *at == '+';
    *out = 0;
    for (;; unit /= 60) {
        at = read_int(at, &part);
        if (!at)
            return NULL;
        *out += part * unit * sign;
        if (*at != ':' || unit == 1)
            return at;
        at++;
    }
}

static const char *read_rule(const char *at, struct rule *rule)
{
    if (*at++ != ',')
        return NULL;
    rule->time_s = 2 * 3600;
    if (*at == 'M') {
        rule->kind = RULE_WEEKDAY;
        at = read_int(at + 1, &rule->month);
        at = at && *at == '.' ? read_int(at + 1, &rule->week) : NULL;
        at = at && *at == '.' ? read_int(at + 1, &rule->day) : NULL;
    } else {
        rule->kind = *at == 'J' ? RULE_JULIAN : RULE_DAY;
        at = read_int(at + (*at == 'J'), &rule->day);
    }
    if (at && *at == '/')
        at = read_seconds(at + 1, &rule->time_s);
    return at;
}

static bool read_footer(const char *at, struct time_zone *zone)
{
    int seconds;

    at = skip_name(at);
    at = at ? read_seconds(at, &seconds) : NULL;
    if (!at)
        return false;
    zone->standard_s = zone->summer_s = -seconds;
    zone->has_footer = true;
    if (*at == 0)
        return true;
    at = skip_name(at);
    if (!at)
        return false;
    zone->summer_s = zone->standard_s + 3600;
    if (*at && *at != ',') {
        at = read_seconds(at, &seconds);
        zone->summer_s = -seconds;
    }
    at = at ? read_rule(at, &zone->begin) : NULL;
    at = at ? read_rule(at, &zone->end) : NULL;
    return at && *at == 0;
}

/* Local seconds since 1970 of a rule in a year, on the clock before the change. */
static int64_t rule_at(const struct rule *rule, int64_t year)
{
    int64_t days;

    if (rule->kind == RULE_WEEKDAY) {
        int first;

        days = civil_days(year, rule->month, 1);
        first = (rule->day - civil_weekday(days) + 7) % 7;
        days += first + 7 * (rule->week - 1);
        while (days >= civil_days(year, rule->month + 1, 1))
            days -= 7;
    } else {
        bool leap = civil_month_days(year, 2) == 29;

        days = civil_days(year, 1, 1) + rule->day;
        if (rule->kind == RULE_JULIAN) /* from 1, and never February 29 */
            days += (leap && rule->day > 59) - 1;
    }
    return days * 86400 + rule->time_s;
}

static int32_t offset_by_footer(const struct time_zone *zone, int64_t utc_s)
{
    struct civil civil;
    int64_t begin, end;
    bool summer;

    if (zone->begin.kind == RULE_NONE)
        return zone->standard_s;
    civil_from_ms((utc_s + zone->standard_s) * MS_PER_SECOND, &civil);
    begin = rule_at(&zone->begin, civil.year) - zone->standard_s;
    end = rule_at(&zone->end, civil.year) - zone->summer_s;
    summer = begin < end ? utc_s >= begin && utc_s < end : utc_s >= begin || utc_s < end;
    return summer ? zone->summer_s : zone->standard_s;
}

/* --- the file --------------------------------------------------------------------------------- */

struct counts {
    uint32_t times, types, chars, leaps, std, ut;
};

static bool read_header(const uint8_t *at, size_t left, struct counts *counts)
{
    if (left < HEADER_BYTES || memcmp(at, "TZif", 4) != 0)
        return false;
    counts->ut = get_u32be(at + 20);
    counts->std = get_u32be(at + 24);
    counts->leaps = get_u32be(at + 28);
    counts->times = get_u32be(at + 32);
    counts->types = get_u32be(at + 36);
    counts->chars = get_u32be(at + 40);
    return counts->ut < FILE_MAX_BYTES && counts->std < FILE_MAX_BYTES &&
           counts->leaps < FILE_MAX_BYTES && counts->times < FILE_MAX_BYTES &&
           counts->types < FILE_MAX_BYTES && counts->chars < FILE_MAX_BYTES && counts->types > 0;
}

static size_t block_bytes(const struct counts *counts, size_t time_bytes)
{
    return counts->times * (time_bytes + 1) + counts->types * 6u + counts->chars +
           counts->leaps * (time_bytes + 4) + counts->std + counts->ut;
}

static bool read_types(const uint8_t *at, const struct counts *counts, struct arena *arena,
                       struct time_zone *zone)
{
    const uint8_t *indexes = at + 8u * counts->times, *types = indexes + counts->times;
    int64_t *at_s = arena_alloc(arena, (counts->times + 1) * sizeof *at_s);
    int32_t *offset_s = arena_alloc(arena, (counts->times + 1) * sizeof *offset_s);

    if (!at_s || !offset_s)
        return false;
    for (uint32_t i = 0; i < counts->times; i++) {
        if (indexes[i] >= counts->types)
            return false;
        at_s[i] = (int64_t)get_u64be(at + 8u * i);
        offset_s[i] = (int32_t)get_u32be(types + 6u * indexes[i]);
        if (abs(offset_s[i]) > OFFSET_MAX_SECONDS || (i && at_s[i] <= at_s[i - 1]))
            return false;
    }
    zone->count = counts->times;
    zone->at_s = at_s;
    zone->offset_s = offset_s;
    zone->fixed_s = (int32_t)get_u32be(types);
    return abs(zone->fixed_s) <= OFFSET_MAX_SECONDS;
}

/* The second block of a file, with 64-bit times, and the footer behind it. */
static bool read_zone(struct nx_slice file, struct arena *arena, struct time_zone *zone)
{
    struct counts counts;
    const uint8_t *at = file.data;
    size_t left = file.len, skip;
    char footer[NAME_MAX_BYTES];
    const uint8_t *newline;

    if (!read_header(at, left, &counts) || at[4] < '2')
        return false;
    skip = HEADER_BYTES + block_bytes(&counts, 4);
    if (skip > left || !read_header(at + skip, left - skip, &counts))
        return false;
    at += skip + HEADER_BYTES;
    left -= skip + HEADER_BYTES;
    skip = block_bytes(&counts, 8);
    if (skip + 2 > left || !read_types(at, &counts, arena, zone))
        return false;
    at += skip + 1;
    left -= skip + 1;
    newline = memchr(at, '\n', left);
    if (!newline || (size_t)(newline - at) >= sizeof footer)
        return false;
    memcpy(footer, at, (size_t)(newline - at));
    footer[newline - at] = 0;
    return footer[0] == 0 || read_footer(footer, zone);
}

static enum nx_code read_file(struct nx_io *io, const char *path, struct nx_buf *out)
{
    struct nx_file *file;
    uint64_t size;
    size_t got = 0;
    enum nx_code rc = io->ops->open(io, path, NX_OPEN_READ, &file, NULL);

    if (rc != NX_OK)
        return rc;
    rc = file->ops->size(file, &size, NULL);
    if (rc == NX_OK && size > FILE_MAX_BYTES)
        rc = NX_ECORRUPT;
    if (rc == NX_OK)
        rc = nx_buf_resize(out, (size_t)size);
    if (rc == NX_OK)
        rc = file->ops->pread(file, 0, out->data, out->len, &got, NULL);
    if (rc == NX_OK && got != out->len)
        rc = NX_ECORRUPT;
    file->ops->close(file);
    return rc;
}

/* "Europe/Berlin": letters, digits and _+-/ only, so that no name leads out of the folder. */
static bool is_name(const char *text, size_t len)
{
    if (len == 0 || len > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool inner = (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '-' || c == '/';

        if (!letter && (i == 0 || !inner))
            return false;
    }
    return true;
}

/* --- parsing ---------------------------------------------------------------------------------- */

static int digit_pair(const char *at)
{
    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9')
        return -1;
    return (at[0] - '0') * 10 + at[1] - '0';
}

/* [+-]hh, [+-]hhmm, [+-]hh:mm */
static bool read_offset(const char *text, size_t len, int32_t *out)
{
    bool colon = len == 6 && text[3] == ':';
    int hours, minutes = 0;

    if ((len != 3 && len != 5 && !colon) || (text[0] != '+' && text[0] != '-'))
        return false;
    hours = digit_pair(text + 1);
    if (len > 3)
        minutes = digit_pair(text + (colon ? 4 : 3));
    *out = (hours * 60 + minutes) * (text[0] == '-' ? -60 : 60);
    return hours >= 0 && minutes >= 0;
}

enum nx_code timezone_parse(struct nx_io *io, const char *text, size_t len, struct arena *arena,
                            const struct time_zone **out, struct nx_err *err)
{
    struct nx_buf bytes NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct time_zone *zone = arena_alloc(arena, sizeof *zone);
    char path[sizeof ZONE_DIR + NAME_MAX_BYTES];

    *out = NULL;
    if (!zone)
        return nx_fail_nomem(err);
    *zone = (struct time_zone){0};
    *out = zone;
    if (read_offset(text, len, &zone->fixed_s))
        return NX_OK;
    if (len == 1 && *text == 'Z')
        return NX_OK;
    if ((len == 3 && (memcmp(text, "UTC", 3) == 0 || memcmp(text, "GMT", 3) == 0)))
        return NX_OK;
    if (is_name(text, len)) {
        memcpy(path, ZONE_DIR, sizeof ZONE_DIR - 1);
        memcpy(path + sizeof ZONE_DIR - 1, text, len);
        path[sizeof ZONE_DIR - 1 + len] = 0;
        if (read_file(io, path, &bytes) == NX_OK && read_zone(nx_buf_slice(&bytes), arena, zone))
            return NX_OK;
    }
    *out = NULL;
    return nx_fail(err, NX_EEXPR,
                   "'%.*s' is not a time zone: use a name such as Europe/Berlin or "
                   "an offset such as +05:30",
                   (int)(len < 80 ? len : 80), text);
}

/* --- use -------------------------------------------------------------------------------------- */

int64_t timezone_offset(const struct time_zone *zone, int64_t utc_ms)
{
    int64_t utc_s = floor_div(utc_ms, MS_PER_SECOND);
    uint32_t low = 0, high = zone->count;

    while (low < high) { /* the first transition after it */
        uint32_t middle = low + (high - low) / 2;

        if (zone->at_s[middle] <= utc_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->count && zone->has_footer)
        return offset_by_footer(zone, utc_s) * MS_PER_SECOND;
    return (low ? zone->offset_s[low - 1] : zone->fixed_s) * MS_PER_SECOND;
}

int64_t timezone_to_local(const struct time_zone *zone, int64_t utc_ms)
{
    return utc_ms + timezone_offset(zone, utc_ms);
}

int64_t timezone_to_utc(const struct time_zone *zone, int64_t local_ms)
{
    int64_t before = local_ms - timezone_offset(zone, local_ms - MS_PER_DAY);
    int64_t after = local_ms - timezone_offset(zone, local_ms + MS_PER_DAY);

    if (timezone_to_local(zone, before) == local_ms)
        return before;
    return timezone_to_local(zone, after) == local_ms ? after : before;
}
