/*
 * expr_date.c - parts of dates, dates from parts, and arithmetic by units of time.
 */
#include "query/expr_date.h"

#include <math.h>

#include <nexadb/io.h>

#include "base/bytes.h"
#include "query/civil.h"
#include "query/date_unit.h"

#define PART_MAX 32767

/* --- dates and zones -------------------------------------------------------------------------- */

unsigned expr_date_zone_arg(const struct expr_op *op)
{
    unsigned index = 0;

    for (const char *at = op->names; *at; at++) {
        if (strncmp(at, "timezone", 8) == 0)
            return index;
        at += strcspn(at, " ");
        if (!*at)
            break;
        index++;
    }
    return UINT32_MAX;
}

static struct nx_io *io_of(const struct expr_env *env)
{
    return env->io ? env->io : nx_io_posix();
}

enum nx_code expr_date_parse(struct expr_parser *parser, const struct nx_value *spec,
                             struct expr *node)
{
    unsigned index = expr_date_zone_arg(node->op);
    const struct time_zone *zone;
    const struct expr *arg;
    enum nx_code rc;
    bool named = false;

    if (spec->type == NX_TYPE_DOCUMENT) {
        struct nx_doc_iter iter;

        nx_doc_iter_init(&iter, nx_value_slice(spec));
        named = !nx_doc_iter_next(&iter) || iter.key[0] != '$';
    }
    if (!named && (node->op->flags & EXPR_EITHER))
        return parser_positional(parser, spec, node);
    rc = parser_named(parser, spec, node);
    arg = rc == NX_OK && index < node->count ? node->args[index] : NULL;
    if (!arg || !arg->is_constant || arg->value.type != NX_TYPE_STRING)
        return rc;
    rc = timezone_parse(nx_io_posix(), (const char *)arg->value.data, arg->value.len,
                        parser_arena(parser), &zone, parser->err);
    node->extra = zone;
    return rc;
}

enum nx_code expr_date_zone(const struct expr *expr, struct expr_env *env,
                            const struct nx_value *value, const struct time_zone **out,
                            struct nx_err *err)
{
    *out = expr->extra ? expr->extra : &timezone_utc;
    if (expr->extra || !value || value->type == NX_TYPE_MISSING)
        return NX_OK;
    if (value->type != NX_TYPE_STRING)
        return expr_fail(expr, err, "wants 'timezone' as a string, not %s",
                         nx_type_name(value->type));
    return timezone_parse(io_of(env), (const char *)value->data, value->len, env->arena, out, err);
}

enum nx_code expr_date_ms(const struct expr *expr, const struct nx_value *value, int64_t *out,
                          struct nx_err *err)
{
    switch (value->type) {
    case NX_TYPE_DATE:
        *out = value->i64;
        break;
    case NX_TYPE_TIMESTAMP:
        *out = (int64_t)((uint64_t)value->i64 >> 32) * MS_PER_SECOND;
        break;
    case NX_TYPE_OBJECTID:
        *out = (int64_t)get_u32be(value->data) * MS_PER_SECOND;
        break;
    default:
        return expr_fail(expr, err, "wants a date, not %s", nx_type_name(value->type));
    }
    if (*out <= -CIVIL_MS_MAX || *out >= CIVIL_MS_MAX)
        return expr_fail(expr, err, "cannot work with a date so far from 1970");
    return NX_OK;
}

/* --- parts ------------------------------------------------------------------------------------ */

typedef int64_t (*part_fn)(const struct civil *civil);

static int64_t part_year(const struct civil *c)
{
    return c->year;
}
static int64_t part_month(const struct civil *c)
{
    return c->month;
}
static int64_t part_day(const struct civil *c)
{
    return c->day;
}
static int64_t part_hour(const struct civil *c)
{
    return c->hour;
}
static int64_t part_minute(const struct civil *c)
{
    return c->minute;
}
static int64_t part_second(const struct civil *c)
{
    return c->second;
}
static int64_t part_ms(const struct civil *c)
{
    return c->ms;
}
static int64_t part_weekday(const struct civil *c)
{
    return civil_weekday(civil_days(c->year, c->month, c->day)) + 1;
}
static int64_t part_day_of_year(const struct civil *c)
{
    return civil_day_of_year(c);
}
static int64_t part_week(const struct civil *c)
{
    return civil_week(c);
}
static int64_t part_iso_weekday(const struct civil *c)
{
    return (part_weekday(c) + 5) % 7 + 1;
}
static int64_t part_iso_week(const struct civil *c)
{
    int64_t year;
    int week, weekday;

    civil_iso_week(c, &year, &week, &weekday);
    return week;
}
static int64_t part_iso_year(const struct civil *c)
{
    int64_t year;
    int week, weekday;

    civil_iso_week(c, &year, &week, &weekday);
    return year;
}

static const struct {
    const char *name;
    part_fn part;
} parts[] = {
    {"$dayOfMonth", part_day},
    {"$dayOfWeek", part_weekday},
    {"$dayOfYear", part_day_of_year},
    {"$hour", part_hour},
    {"$isoDayOfWeek", part_iso_weekday},
    {"$isoWeek", part_iso_week},
    {"$isoWeekYear", part_iso_year},
    {"$millisecond", part_ms},
    {"$minute", part_minute},
    {"$month", part_month},
    {"$second", part_second},
    {"$week", part_week},
    {"$year", part_year},
};

static enum nx_code local_civil(struct call *call, unsigned zone_arg, struct civil *out)
{
    const struct time_zone *zone;
    int64_t ms = 0;
    enum nx_code rc = expr_date_ms(call->expr, &call->args[0], &ms, call->err);

    if (rc == NX_OK)
        rc =
            expr_date_zone(call->expr, call->env,
                           zone_arg < call->count ? &call->args[zone_arg] : NULL, &zone, call->err);
    if (rc == NX_OK)
        civil_from_ms(timezone_to_local(zone, ms), out);
    return rc;
}

static enum nx_code call_part(struct call *call, struct nx_value *out)
{
    struct civil civil;
    size_t i = 0;
    int64_t value;
    enum nx_code rc = local_civil(call, 1, &civil);

    if (rc != NX_OK)
        return rc;
    while (strcmp(parts[i].name, call->expr->op->name) != 0)
        i++;
    value = parts[i].part(&civil);
    *out = strcmp(parts[i].name, "$isoWeekYear") == 0 ? nx_int64(value) : nx_int(value);
    return NX_OK;
}

static enum nx_code call_to_parts(struct call *call, struct nx_value *out)
{
    struct arena *arena = call->env->arena;
    struct field_list fields = {0};
    const struct nx_value *iso = &call->args[2];
    struct civil c;
    int64_t year;
    int week, weekday;
    enum nx_code rc = local_civil(call, 1, &c);

    if (rc != NX_OK)
        return rc;
    if (iso->type != NX_TYPE_MISSING && iso->type != NX_TYPE_BOOL)
        return call_fail(call, "wants 'iso8601' as true or false");
    civil_iso_week(&c, &year, &week, &weekday);
    if (iso->type == NX_TYPE_BOOL && iso->boolean) {
        field_list_push(&fields, arena, "isoWeekYear", 11, nx_int(year), NULL);
        field_list_push(&fields, arena, "isoWeek", 7, nx_int32(week), NULL);
        field_list_push(&fields, arena, "isoDayOfWeek", 12, nx_int32(weekday), NULL);
    } else {
        field_list_push(&fields, arena, "year", 4, nx_int(c.year), NULL);
        field_list_push(&fields, arena, "month", 5, nx_int32(c.month), NULL);
        field_list_push(&fields, arena, "day", 3, nx_int32(c.day), NULL);
    }
    field_list_push(&fields, arena, "hour", 4, nx_int32(c.hour), NULL);
    field_list_push(&fields, arena, "minute", 6, nx_int32(c.minute), NULL);
    field_list_push(&fields, arena, "second", 6, nx_int32(c.second), NULL);
    field_list_push(&fields, arena, "millisecond", 11, nx_int32(c.ms), NULL);
    if (fields.len != 7)
        return nx_fail_nomem(call->err);
    return value_document(arena, &fields, out, call->err);
}

/* --- from parts ------------------------------------------------------------------------------- */

enum {
    PART_YEAR,
    PART_ISO_YEAR,
    PART_MONTH,
    PART_ISO_WEEK,
    PART_DAY,
    PART_ISO_DAY,
    PART_HOUR,
    PART_MINUTE,
    PART_SECOND,
    PART_MS,
    PART_ZONE,
    PART_COUNT
};

static enum nx_code parse_from_parts(struct expr_parser *parser, const struct nx_value *spec,
                                     struct expr *node)
{
    enum nx_code rc = expr_date_parse(parser, spec, node);
    bool iso;

    if (rc != NX_OK)
        return rc;
    iso = node->args[PART_ISO_YEAR] != NULL;
    if (iso == (node->args[PART_YEAR] != NULL))
        return parser_fail(parser, node, "wants one of 'year' and 'isoWeekYear'");
    if (iso ? node->args[PART_MONTH] || node->args[PART_DAY]
            : node->args[PART_ISO_WEEK] || node->args[PART_ISO_DAY])
        return parser_fail(parser, node, "cannot mix parts of the calendar and of ISO weeks");
    return NX_OK;
}

static enum nx_code call_from_parts(struct call *call, struct nx_value *out)
{
    int64_t v[PART_ZONE] = {
        [PART_MONTH] = 1, [PART_DAY] = 1, [PART_ISO_WEEK] = 1, [PART_ISO_DAY] = 1};
    const struct time_zone *zone;
    bool iso = call->expr->args[PART_ISO_YEAR] != NULL;
    int64_t days;
    enum nx_code rc;

    for (unsigned i = 0; i < PART_ZONE; i++) {
        if (!call->expr->args[i])
            continue;
        if (!nx_value_to_int64(&call->args[i], &v[i]))
            return call_fail(call, "wants its parts as whole numbers");
        if (i <= PART_ISO_YEAR ? v[i] < 1 || v[i] > 9999
                               : i < PART_SECOND && (v[i] < -PART_MAX - 1 || v[i] > PART_MAX))
            return call_fail(call,
                             "wants years from 1 to 9999 and parts from -32768 to 32767, not %lld",
                             (long long)v[i]);
        if (v[i] < -CIVIL_MS_MAX / 2000 || v[i] > CIVIL_MS_MAX / 2000)
            return call_fail(call, "has a part out of range: %lld", (long long)v[i]);
    }
    rc = expr_date_zone(call->expr, call->env, &call->args[PART_ZONE], &zone, call->err);
    if (rc != NX_OK)
        return rc;
    days = iso ? civil_iso_days(v[PART_ISO_YEAR], v[PART_ISO_WEEK], v[PART_ISO_DAY])
               : civil_days(v[PART_YEAR], v[PART_MONTH], v[PART_DAY]);
    *out = nx_date(timezone_to_utc(zone, days * MS_PER_DAY + v[PART_HOUR] * MS_PER_HOUR +
                                             v[PART_MINUTE] * MS_PER_MINUTE +
                                             v[PART_SECOND] * MS_PER_SECOND + v[PART_MS]));
    return NX_OK;
}

/* --- units ------------------------------------------------------------------------------------ */

static enum nx_code unit_of(struct call *call, unsigned arg, enum date_unit *out)
{
    if (date_unit_parse(&call->args[arg], out))
        return NX_OK;
    return call_fail(call, "wants 'unit' as year, quarter, month, week, day, hour, minute, second "
                           "or millisecond");
}

static enum nx_code week_start_of(struct call *call, unsigned arg, int *out)
{
    static const char *const days[] = {"sunday",   "monday", "tuesday", "wednesday",
                                       "thursday", "friday", "saturday"};
    const struct nx_value *value = &call->args[arg];

    *out = 0;
    if (arg >= call->count || value->type == NX_TYPE_MISSING)
        return NX_OK;
    for (int i = 0; i < 7; i++)
        if (value->type == NX_TYPE_STRING &&
            ((value->len == 3 && strncasecmp((const char *)value->data, days[i], 3) == 0) ||
             (value->len == strlen(days[i]) &&
              strncasecmp((const char *)value->data, days[i], value->len) == 0))) {
            *out = i;
            return NX_OK;
        }
    return call_fail(call, "wants 'startOfWeek' as the name of a day");
}

/* startDate unit amount timezone */
static enum nx_code shift(struct call *call, int sign, struct nx_value *out)
{
    const struct time_zone *zone;
    enum date_unit unit;
    int64_t ms, amount;
    enum nx_code rc = expr_date_ms(call->expr, &call->args[0], &ms, call->err);

    if (rc == NX_OK)
        rc = unit_of(call, 1, &unit);
    if (rc == NX_OK && (!nx_value_to_int64(&call->args[2], &amount) || amount == INT64_MIN))
        return call_fail(call, "wants 'amount' as a whole number");
    if (rc == NX_OK)
        rc = expr_date_zone(call->expr, call->env, &call->args[3], &zone, call->err);
    if (rc != NX_OK)
        return rc;
    if (!date_unit_add(ms, unit, amount * sign, zone, &ms))
        return call_fail(call, "would move a date out of its range");
    *out = nx_date(ms);
    return NX_OK;
}

static enum nx_code call_date_add(struct call *call, struct nx_value *out)
{
    return shift(call, 1, out);
}

static enum nx_code call_date_subtract(struct call *call, struct nx_value *out)
{
    return shift(call, -1, out);
}

/* startDate endDate unit timezone startOfWeek */
static enum nx_code call_date_diff(struct call *call, struct nx_value *out)
{
    const struct time_zone *zone;
    enum date_unit unit;
    int64_t from = 0, to = 0;
    int week_start;
    enum nx_code rc = expr_date_ms(call->expr, &call->args[0], &from, call->err);

    if (rc == NX_OK)
        rc = expr_date_ms(call->expr, &call->args[1], &to, call->err);
    if (rc == NX_OK)
        rc = unit_of(call, 2, &unit);
    if (rc == NX_OK)
        rc = expr_date_zone(call->expr, call->env, &call->args[3], &zone, call->err);
    if (rc == NX_OK)
        rc = week_start_of(call, 4, &week_start);
    if (rc == NX_OK)
        *out = nx_int64(date_unit_diff(from, to, unit, zone, week_start));
    return rc;
}

/* date unit binSize timezone startOfWeek */
static enum nx_code call_date_trunc(struct call *call, struct nx_value *out)
{
    const struct time_zone *zone;
    enum date_unit unit = 0;
    int64_t ms = 0, size = 1;
    int week_start;
    enum nx_code rc = expr_date_ms(call->expr, &call->args[0], &ms, call->err);

    if (rc == NX_OK)
        rc = unit_of(call, 1, &unit);
    if (rc == NX_OK && call->args[2].type != NX_TYPE_MISSING &&
        (!nx_value_to_int64(&call->args[2], &size) || size < 1 || size > 100000000000))
        return call_fail(call, "wants 'binSize' as a whole number above 0");
    if (rc == NX_OK)
        rc = expr_date_zone(call->expr, call->env, &call->args[3], &zone, call->err);
    if (rc == NX_OK)
        rc = week_start_of(call, 4, &week_start);
    if (rc == NX_OK && date_unit_ms(unit) && size > CIVIL_MS_MAX / date_unit_ms(unit))
        return call_fail(call, "has a 'binSize' out of range");
    if (rc == NX_OK)
        *out = nx_date(date_unit_trunc(ms, unit, size, zone, week_start));
    return rc;
}

#define PART(name, help)                                                                           \
    {                                                                                              \
        name, 1, 1, "date! timezone", EXPR_NULLS | EXPR_EITHER, call_part, NULL, expr_date_parse,  \
            help                                                                                   \
    }
static const struct expr_op table[] = {
    {"$dateAdd", 3, 4, "startDate! unit! amount! timezone", EXPR_NULLS, call_date_add, NULL,
     expr_date_parse, "a date moved by an amount of a unit"},
    {"$dateDiff", 3, 5, "startDate! endDate! unit! timezone startOfWeek", EXPR_NULLS,
     call_date_diff, NULL, expr_date_parse, "how many units lie between two dates"},
    {"$dateFromParts", 1, 11,
     "year isoWeekYear month isoWeek day isoDayOfWeek hour minute second millisecond timezone",
     EXPR_NULLS, call_from_parts, NULL, parse_from_parts, "a date from its parts"},
    {"$dateSubtract", 3, 4, "startDate! unit! amount! timezone", EXPR_NULLS, call_date_subtract,
     NULL, expr_date_parse, "a date moved back by an amount of a unit"},
    {"$dateToParts", 1, 3, "date! timezone iso8601", EXPR_NULLS, call_to_parts, NULL,
     expr_date_parse, "the parts of a date as an object"},
    {"$dateTrunc", 2, 5, "date! unit! binSize timezone startOfWeek", EXPR_NULLS, call_date_trunc,
     NULL, expr_date_parse, "the start of the unit that a date is in"},
    PART("$dayOfMonth", "the day of the month"),
    PART("$dayOfWeek", "1 for Sunday to 7 for Saturday"),
    PART("$dayOfYear", "the day of the year"),
    PART("$hour", "the hour"),
    PART("$isoDayOfWeek", "1 for Monday to 7 for Sunday"),
    PART("$isoWeek", "the week by ISO 8601"),
    PART("$isoWeekYear", "the year that the ISO week belongs to"),
    PART("$millisecond", "the millisecond"),
    PART("$minute", "the minute"),
    PART("$month", "the month"),
    PART("$second", "the second"),
    PART("$week", "the week, counted from the first Sunday"),
    PART("$year", "the year"),
};
const struct expr_family expr_date = EXPR_FAMILY(table);
