/*
 * date_text.c - the letters of a format as rows: what each writes and what it reads.
 */
#include "query/date_text.h"

#include <stdio.h>
#include <string.h>

#include "query/civil.h"

static const char *const month_names[] = {"January",   "February", "March",    "April",
                                          "May",       "June",     "July",     "August",
                                          "September", "October",  "November", "December"};

size_t date_write_iso(int64_t ms, char out[DATE_TEXT_BYTES])
{
    struct civil c;

    civil_from_ms(ms, &c);
    return (size_t)snprintf(out, DATE_TEXT_BYTES, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ",
                            (long long)c.year, c.month, c.day, c.hour, c.minute, c.second, c.ms);
}

/* --- writing ---------------------------------------------------------------------------------- */

struct moment {
    struct civil civil;
    int64_t iso_year;
    int iso_week, iso_weekday;
    int64_t offset_ms;
};

typedef enum nx_code (*write_fn)(const struct moment *m, struct nx_buf *out);

static enum nx_code write_year(const struct moment *m, struct nx_buf *out)
{
    return nx_buf_printf(out, "%04lld", (long long)m->civil.year);
}
static enum nx_code write_iso_year(const struct moment *m, struct nx_buf *out)
{
    return nx_buf_printf(out, "%04lld", (long long)m->iso_year);
}
static enum nx_code write_month(const struct moment *m, struct nx_buf *out)
{
    return nx_buf_printf(out, "%02d", m->civil.month);
}
static enum nx_code write_month_name(const struct moment *m, struct nx_buf *out)
{
    return nx_buf_append_str(out, month_names[m->civil.month - 1]);
}
static enum nx_code write_month_short(const struct moment *m, struct nx_buf *out)
{
    return nx_buf_append(out, month_names[m->civil.month - 1], 3);
}
static enum nx_code write_day(const struct moment *m, struct nx_buf *out)
{
    return nx_buf_printf(out, "%02d", m->civil.day);
}
static enum nx_code write_hour(const struct moment *m, struct nx_buf *out)
{
    return nx_buf_printf(out, "%02d", m->civil.hour);
}
static enum nx_code write_minute(const struct moment *m, struct nx_buf *out)
{
    return nx_buf_printf(out, "%02d", m->civil.minute);
}
static enum nx_code write_second(const struct moment *m, struct nx_buf *out)
{
    return nx_buf_printf(out, "%02d", m->civil.second);
}
static enum nx_code write_ms(const struct moment *m, struct nx_buf *out)
{
    return nx_buf_printf(out, "%03d", m->civil.ms);
}
static enum nx_code write_day_of_year(const struct moment *m, struct nx_buf *out)
{
    return nx_buf_printf(out, "%03d", civil_day_of_year(&m->civil));
}
static enum nx_code write_week(const struct moment *m, struct nx_buf *out)
{
    return nx_buf_printf(out, "%02d", civil_week(&m->civil));
}
static enum nx_code write_iso_week(const struct moment *m, struct nx_buf *out)
{
    return nx_buf_printf(out, "%02d", m->iso_week);
}
static enum nx_code write_iso_weekday(const struct moment *m, struct nx_buf *out)
{
    return nx_buf_printf(out, "%d", m->iso_weekday);
}
static enum nx_code write_weekday(const struct moment *m, struct nx_buf *out)
{
    return nx_buf_printf(out, "%d", m->iso_weekday % 7 + 1);
}
static enum nx_code write_offset(const struct moment *m, struct nx_buf *out)
{
    int minutes = (int)(m->offset_ms / MS_PER_MINUTE), size = minutes < 0 ? -minutes : minutes;

    return nx_buf_printf(out, "%c%02d%02d", minutes < 0 ? '-' : '+', size / 60, size % 60);
}
static enum nx_code write_offset_minutes(const struct moment *m, struct nx_buf *out)
{
    return nx_buf_printf(out, "%+d", (int)(m->offset_ms / MS_PER_MINUTE));
}
static enum nx_code write_percent(const struct moment *m, struct nx_buf *out)
{
    (void)m;
    return nx_buf_append_byte(out, '%');
}

/* --- reading ---------------------------------------------------------------------------------- */

struct reading {
    const char *at, *end;
    struct nx_io *io;
    struct arena *arena;
    int64_t year, month, day, hour, minute, second, ms;
    int64_t iso_year, iso_week, iso_weekday, day_of_year; /* -1: not given */
    const struct time_zone *zone;                         /* of the text itself */
};

typedef bool (*read_fn)(struct reading *r);

static bool read_digits(struct reading *r, int most, int64_t *out, int *used)
{
    int64_t n = 0;

    *used = 0;
    while (*used < most && r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        n = n * 10 + (*r->at++ - '0');
        ++*used;
    }
    *out = n;
    return *used > 0;
}

static bool read_number(struct reading *r, int most, int64_t low, int64_t high, int64_t *out)
{
    int used;

    return read_digits(r, most, out, &used) && *out >= low && *out <= high;
}

static bool read_year(struct reading *r)
{
    return read_number(r, 4, 0, 9999, &r->year);
}
static bool read_iso_year(struct reading *r)
{
    return read_number(r, 4, 0, 9999, &r->iso_year);
}
static bool read_month(struct reading *r)
{
    return read_number(r, 2, 1, 12, &r->month);
}
static bool read_day(struct reading *r)
{
    return read_number(r, 2, 1, 31, &r->day);
}
static bool read_hour(struct reading *r)
{
    return read_number(r, 2, 0, 24, &r->hour);
}
static bool read_minute(struct reading *r)
{
    return read_number(r, 2, 0, 59, &r->minute);
}
static bool read_second(struct reading *r)
{
    return read_number(r, 2, 0, 59, &r->second);
}
static bool read_ms(struct reading *r)
{
    int used;

    if (!read_digits(r, 9, &r->ms, &used))
        return false;
    for (; used > 3; used--)
        r->ms /= 10;
    for (; used < 3; used++)
        r->ms *= 10;
    return true;
}
static bool read_day_of_year(struct reading *r)
{
    return read_number(r, 3, 1, 366, &r->day_of_year);
}
static bool read_iso_week(struct reading *r)
{
    return read_number(r, 2, 1, 53, &r->iso_week);
}
static bool read_iso_weekday(struct reading *r)
{
    return read_number(r, 1, 1, 7, &r->iso_weekday);
}
static bool read_percent(struct reading *r)
{
    return r->at < r->end && *r->at++ == '%';
}

static bool read_name(struct reading *r, bool whole)
{
    for (int i = 0; i < 12; i++) {
        size_t len = whole ? strlen(month_names[i]) : 3;

        if ((size_t)(r->end - r->at) >= len && strncasecmp(r->at, month_names[i], len) == 0) {
            r->at += len;
            r->month = i + 1;
            return true;
        }
    }
    return false;
}
static bool read_month_name(struct reading *r)
{
    return read_name(r, true);
}
static bool read_month_short(struct reading *r)
{
    return read_name(r, false);
}

/* "Z", "+05:30", "Europe/Berlin": up to a space or the end */
static bool read_zone(struct reading *r)
{
    const char *start = r->at;

    while (r->at < r->end && *r->at != ' ' && *r->at != ')')
        r->at++;
    return timezone_parse(r->io, start, (size_t)(r->at - start), r->arena, &r->zone, NULL) == NX_OK;
}

static bool read_zone_minutes(struct reading *r)
{
    bool negative = r->at < r->end && *r->at == '-';
    int64_t minutes;
    char text[8];

    if (r->at == r->end || (*r->at != '+' && *r->at != '-'))
        return false;
    r->at++;
    if (!read_number(r, 4, 0, 24 * 60, &minutes))
        return false;
    snprintf(text, sizeof text, "%c%02d%02d", negative ? '-' : '+', (int)minutes / 60 % 100,
             (int)minutes % 60);
    return timezone_parse(r->io, text, 5, r->arena, &r->zone, NULL) == NX_OK;
}

static const struct letter {
    char letter;
    write_fn write;
    read_fn read; /* NULL: only written */
} letters[] = {
    {'%', write_percent, read_percent},
    {'B', write_month_name, read_month_name},
    {'G', write_iso_year, read_iso_year},
    {'H', write_hour, read_hour},
    {'L', write_ms, read_ms},
    {'M', write_minute, read_minute},
    {'S', write_second, read_second},
    {'U', write_week, NULL},
    {'V', write_iso_week, read_iso_week},
    {'Y', write_year, read_year},
    {'Z', write_offset_minutes, read_zone_minutes},
    {'b', write_month_short, read_month_short},
    {'d', write_day, read_day},
    {'j', write_day_of_year, read_day_of_year},
    {'m', write_month, read_month},
    {'u', write_iso_weekday, read_iso_weekday},
    {'w', write_weekday, NULL},
    {'z', write_offset, read_zone},
};

static const struct letter *letter_find(char c)
{
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (letters[i].letter == c)
            return &letters[i];
    return NULL;
}

enum nx_code date_check_format(const char *format, size_t len, bool parsing, struct nx_err *err)
{
    for (size_t i = 0; i < len; i++) {
        const struct letter *letter;

        if (format[i] != '%')
            continue;
        letter = ++i < len ? letter_find(format[i]) : NULL;
        if (!letter || (parsing && !letter->read))
            return nx_fail(err, NX_EEXPR, "unknown letter in the date format '%.*s' at %zu",
                           (int)(len < 100 ? len : 100), format, i);
    }
    return NX_OK;
}

enum nx_code date_format(int64_t utc_ms, const struct time_zone *zone, const char *format,
                         size_t len, struct nx_buf *out, struct nx_err *err)
{
    struct moment m = {.offset_ms = timezone_offset(zone, utc_ms)};
    enum nx_code rc = date_check_format(format, len, false, err);

    civil_from_ms(utc_ms + m.offset_ms, &m.civil);
    civil_iso_week(&m.civil, &m.iso_year, &m.iso_week, &m.iso_weekday);
    if (rc == NX_OK && (m.civil.year < 0 || m.civil.year > 9999))
        return nx_fail(err, NX_EEXPR, "the year %lld cannot be written as a date",
                       (long long)m.civil.year);
    for (size_t i = 0; rc == NX_OK && i < len; i++) {
        if (format[i] != '%')
            rc = nx_buf_append_byte(out, (uint8_t)format[i]);
        else
            rc = letter_find(format[++i])->write(&m, out);
        if (rc != NX_OK)
            return nx_fail_nomem(err);
    }
    return rc;
}

static bool read_format(struct reading *r, const char *format, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (format[i] == '%') {
            if (!letter_find(format[++i])->read(r))
                return false;
        } else if (r->at == r->end || *r->at++ != format[i]) {
            return false;
        }
    }
    return r->at == r->end;
}

/* --- any usual spelling ----------------------------------------------------------------------- */

static bool take(struct reading *r, const char *any)
{
    if (r->at == r->end || !strchr(any, *r->at) || *r->at == 0)
        return false;
    r->at++;
    return true;
}

static void skip_spaces(struct reading *r)
{
    while (take(r, " ,"))
        ;
}

/* 2020-01-02, 2020/1/2, 20200102, 2020-01, 2020-060 is not one */
static bool read_numeric_day(struct reading *r)
{
    const char *start = r->at;
    int used;

    if (!read_digits(r, 9, &r->year, &used))
        return false;
    if (used == 8) {
        r->day = r->year % 100;
        r->month = r->year / 100 % 100;
        r->year /= 10000;
        return r->month >= 1 && r->month <= 12 && r->day >= 1 && r->day <= 31;
    }
    if (used != 4) {
        r->at = start;
        return false;
    }
    if (!take(r, "-/") || !read_month(r))
        return false;
    return take(r, "-/") ? read_day(r) : true;
}

/* 8 Feb 2017, February 8, 2017 */
static bool read_named_day(struct reading *r)
{
    bool day_first = read_day(r);

    skip_spaces(r);
    if (!read_month_name(r) && !read_month_short(r))
        return false;
    take(r, ".");
    skip_spaces(r);
    if (!day_first && !read_day(r))
        return false;
    if (r->end - r->at > 2 && strchr("snrt", *r->at)) /* 1st 2nd 3rd 4th */
        r->at += 2;
    skip_spaces(r);
    return read_year(r);
}

static bool read_time(struct reading *r)
{
    if (!read_hour(r))
        return false;
    if (take(r, ":") && !read_minute(r))
        return false;
    if (take(r, ":") && !read_second(r))
        return false;
    return !take(r, ".,") || read_ms(r);
}

static bool read_usual(struct reading *r)
{
    const char *start = r->at;

    if (!read_numeric_day(r)) {
        r->at = start;
        if (!read_named_day(r))
            return false;
    }
    if (r->at < r->end && (*r->at == 'T' || *r->at == 't' || *r->at == ' ')) {
        r->at++;
        skip_spaces(r);
        if (r->at < r->end && *r->at >= '0' && *r->at <= '9' && !read_time(r))
            return false;
    }
    skip_spaces(r);
    return r->at == r->end || (read_zone(r) && r->at == r->end);
}

/* --- putting it together ---------------------------------------------------------------------- */

static int64_t local_ms(const struct reading *r)
{
    int64_t days;

    if (r->iso_year >= 0 || r->iso_week >= 0)
        days = civil_iso_days(r->iso_year >= 0 ? r->iso_year : r->year,
                              r->iso_week >= 0 ? r->iso_week : 1,
                              r->iso_weekday >= 0 ? r->iso_weekday : 1);
    else if (r->day_of_year >= 0)
        days = civil_days(r->year, 1, r->day_of_year);
    else
        days = civil_days(r->year, r->month, r->day);
    return days * MS_PER_DAY + r->hour * MS_PER_HOUR + r->minute * MS_PER_MINUTE +
           r->second * MS_PER_SECOND + r->ms;
}

enum nx_code date_parse(struct nx_io *io, const char *text, size_t len, const char *format,
                        size_t format_len, const struct time_zone *zone, struct arena *arena,
                        int64_t *out, struct nx_err *err)
{
    struct reading r = {.at = text,
                        .end = text + len,
                        .io = io,
                        .arena = arena,
                        .year = 1970,
                        .month = 1,
                        .day = 1,
                        .iso_year = -1,
                        .iso_week = -1,
                        .iso_weekday = -1,
                        .day_of_year = -1};
    bool ok;

    if (format && date_check_format(format, format_len, true, err) != NX_OK)
        return NX_EEXPR;
    ok = format ? read_format(&r, format, format_len) : read_usual(&r);
    if (!ok || (r.iso_year < 0 && r.iso_week < 0 && r.day_of_year < 0 &&
                r.day > civil_month_days(r.year, (int)r.month)))
        return nx_fail(err, NX_EEXPR, "'%.*s' is not a date%s%.*s", (int)(len < 100 ? len : 100),
                       text, format ? " in the format " : "",
                       format ? (int)(format_len < 60 ? format_len : 60) : 0, format ? format : "");
    if (r.zone && zone)
        return nx_fail(err, NX_EEXPR, "'%.*s' names its own time zone, and another one is given",
                       (int)(len < 100 ? len : 100), text);
    if (!zone)
        zone = r.zone ? r.zone : &timezone_utc;
    *out = timezone_to_utc(zone, local_ms(&r));
    return NX_OK;
}
