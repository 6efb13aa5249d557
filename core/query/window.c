/*
 * window.c - windows: which rows belong to one, and accumulators over them.
 *
 * A window that begins at the partition's start only grows: its accumulator is fed once. Any other
 * is computed anew when it moves.
 */
#include "query/window.h"

#include <math.h>

#include "query/stage_spec.h"

/* --- parsing ---------------------------------------------------------------------------------- */

static enum nx_code parse_bound(const struct nx_value *value, bool range, struct window_bound *out,
                                struct nx_err *err)
{
    *out = (struct window_bound){0};
    if (value->type == NX_TYPE_STRING) {
        out->unbounded = strcmp((const char *)value->data, "unbounded") == 0;
        out->current = strcmp((const char *)value->data, "current") == 0;
        if (out->unbounded || out->current)
            return NX_OK;
    } else if (nx_is_number(value)) {
        int64_t whole;

        out->by = nx_value_to_double(value);
        if (isfinite(out->by) && (range || nx_value_to_int64(value, &whole)))
            return NX_OK;
    }
    return nx_fail(err, NX_EQUERY, "a window's bound is \"unbounded\", \"current\" or a %snumber",
                   range ? "" : "whole ");
}

static double bound_number(const struct window_bound *bound, double unbounded)
{
    return bound->unbounded ? unbounded : bound->by;
}

static enum nx_code parse_window(struct window *window, const struct nx_value *spec,
                                 struct nx_err *err)
{
    struct spec_member m[] = {{"documents", false, NX_MISSING},
                              {"range", false, NX_MISSING},
                              {"unit", false, NX_MISSING}};
    const struct nx_value *bounds;
    struct nx_doc_iter iter;
    enum nx_code rc = spec_members("a window", spec, m, 3, err);

    if (rc != NX_OK)
        return rc;
    if (m[0].value.type != NX_TYPE_MISSING && m[1].value.type != NX_TYPE_MISSING)
        return nx_fail(err, NX_EQUERY, "a window has 'documents' or 'range', not both");
    window->given = true;
    window->range = m[1].value.type != NX_TYPE_MISSING;
    bounds = &m[window->range].value;
    if (bounds->type == NX_TYPE_MISSING) {
        window->low.unbounded = window->high.unbounded = true;
        return NX_OK;
    }
    if (bounds->type != NX_TYPE_ARRAY || nx_doc_count(nx_value_slice(bounds)) != 2)
        return nx_fail(err, NX_EQUERY, "a window wants its two bounds as an array");
    if (m[2].value.type != NX_TYPE_MISSING) {
        if (!window->range || !date_unit_parse(&m[2].value, &window->unit))
            return nx_fail(err, NX_EQUERY, "a window takes 'unit', a unit of time, with 'range'");
        window->has_unit = true;
    }
    nx_doc_iter_init(&iter, nx_value_slice(bounds));
    nx_doc_iter_next(&iter);
    rc = parse_bound(&iter.value, window->range, &window->low, err);
    nx_doc_iter_next(&iter);
    if (rc == NX_OK)
        rc = parse_bound(&iter.value, window->range, &window->high, err);
    if (rc == NX_OK &&
        bound_number(&window->low, -INFINITY) > bound_number(&window->high, INFINITY))
        return nx_fail(err, NX_EQUERY, "a window's lower bound is above its upper bound");
    return rc;
}

static const struct window_class *class_find(const char *name)
{
    for (size_t i = 0; i < window_class_count; i++)
        if (strcmp(window_classes[i].name, name) == 0)
            return &window_classes[i];
    return NULL;
}

static enum nx_code check_order(const struct window_function *fn, const char *name, bool ordered,
                                bool one_ascending, struct nx_err *err)
{
    if (fn->class && fn->class->wants_order && !ordered)
        return nx_fail(err, NX_EQUERY, "%s wants a 'sortBy'", name);
    if (fn->class && fn->window.given && !fn->class->takes_window)
        return nx_fail(err, NX_EQUERY, "%s takes no window", name);
    if (fn->window.range && !one_ascending)
        return nx_fail(err, NX_EQUERY, "a window by range wants a 'sortBy' of one ascending field");
    if (fn->window.given && !ordered && !(fn->window.low.unbounded && fn->window.high.unbounded))
        return nx_fail(err, NX_EQUERY, "a bounded window wants a 'sortBy'");
    return NX_OK;
}

enum nx_code window_function_parse(struct window_function *fn, const struct nx_value *spec,
                                   bool ordered, bool one_ascending, struct expr_vars *vars,
                                   struct nx_err *err)
{
    struct nx_doc_iter iter, found = {0};
    enum nx_code rc = NX_OK;

    fn->window.low.unbounded = fn->window.high.unbounded = true;
    if (spec->type != NX_TYPE_DOCUMENT)
        return nx_fail(err, NX_EQUERY, "$setWindowFields wants each output as an object");
    nx_doc_iter_init(&iter, nx_value_slice(spec));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        if (strcmp(iter.key, "window") == 0)
            rc = parse_window(&fn->window, &iter.value, err);
        else if (found.key || iter.key[0] != '$')
            return nx_fail(err, NX_EQUERY,
                           "$setWindowFields wants one function and 'window' in each output");
        else
            found = iter;
    }
    if (rc == NX_OK && !found.key)
        return nx_fail(err, NX_EQUERY, "$setWindowFields wants a function in each output");
    if (rc != NX_OK)
        return rc;
    fn->class = class_find(found.key);
    if (fn->class)
        rc = fn->class->parse(fn, &found.value, vars, err);
    else
        rc =
            acc_spec_parse(found.key, found.key_len, &found.value, ACC_WINDOW, vars, &fn->acc, err);
    return rc == NX_OK ? check_order(fn, found.key, ordered, one_ascending, err) : rc;
}

void window_function_fini(struct window_function *fn)
{
    acc_spec_free(fn->acc);
    expr_free(fn->input);
    expr_free(fn->second);
    nx_buf_fini(&fn->fallback);
}

/* --- rows ------------------------------------------------------------------------------------- */

enum nx_code window_eval(struct window_rows *rows, const struct expr *expr, size_t i,
                         struct nx_value *out, struct nx_err *err)
{
    stage_bind(rows->stage, rows->docs[i], NX_SLICE_NULL);
    rows->stage->env.arena = rows->arena;
    return expr_eval(expr, &rows->stage->env, out, err);
}

enum nx_code window_order_value(struct window_rows *rows, size_t i, double *out, bool *is_date,
                                struct nx_err *err)
{
    struct nx_value keys[SORT_MAX_FIELDS];
    enum nx_code rc = sort_spec_keys(rows->order, rows->docs[i], NX_SLICE_NULL, keys, err);

    if (rc != NX_OK)
        return rc;
    *is_date = keys[0].type == NX_TYPE_DATE;
    *out = *is_date ? (double)keys[0].i64 : nx_value_to_double(&keys[0]);
    if (!*is_date && !nx_is_number(&keys[0]))
        return nx_fail(err, NX_EEXPR,
                       "$setWindowFields wants numbers or dates in 'sortBy' here, not %s",
                       nx_type_name(keys[0].type));
    return NX_OK;
}

static size_t clamp(double position, size_t count)
{
    if (position < 0)
        return 0;
    return position > (double)count ? count : (size_t)position;
}

/* The limit of a range around `value`. */
static enum nx_code range_limit(const struct window *window, const struct window_bound *bound,
                                double value, bool is_date, double *out, struct nx_err *err)
{
    int64_t moved;

    *out = value + bound->by;
    if (bound->current)
        *out = value;
    if (bound->current || bound->unbounded)
        return NX_OK;
    if (is_date != window->has_unit)
        return nx_fail(err, NX_EEXPR,
                       is_date ? "a window by range over dates wants a 'unit'"
                               : "a window by range with a 'unit' wants dates");
    if (!is_date)
        return NX_OK;
    if (!date_unit_add((int64_t)value, window->unit, (int64_t)bound->by, &timezone_utc, &moved))
        return nx_fail(err, NX_EEXPR, "a window's bound is out of the range of dates");
    *out = (double)moved;
    return NX_OK;
}

static enum nx_code range_rows(const struct window *window, struct window_rows *rows, size_t i,
                               size_t *from, size_t *to, struct nx_err *err)
{
    double value, low = 0, high = 0, other;
    bool is_date, other_date;
    enum nx_code rc = window_order_value(rows, i, &value, &is_date, err);

    if (rc == NX_OK)
        rc = range_limit(window, &window->low, value, is_date, &low, err);
    if (rc == NX_OK)
        rc = range_limit(window, &window->high, value, is_date, &high, err);
    while (rc == NX_OK && !window->low.unbounded && *from < rows->count) {
        rc = window_order_value(rows, *from, &other, &other_date, err);
        if (rc != NX_OK || other >= low)
            break;
        ++*from;
    }
    if (window->high.unbounded)
        *to = rows->count;
    while (rc == NX_OK && *to < rows->count) {
        rc = window_order_value(rows, *to, &other, &other_date, err);
        if (rc != NX_OK || other > high)
            break;
        ++*to;
    }
    return rc;
}

enum nx_code window_rows_of(const struct window_function *fn, struct window_rows *rows, size_t i,
                            size_t *from, size_t *to, struct nx_err *err)
{
    const struct window *window = &fn->window;

    if (window->range)
        return range_rows(window, rows, i, from, to, err);
    *from = window->low.unbounded ? 0 : clamp((double)i + window->low.by, rows->count);
    *to =
        window->high.unbounded ? rows->count : clamp((double)i + window->high.by + 1, rows->count);
    return NX_OK;
}

/* --- accumulators ----------------------------------------------------------------------------- */

static enum nx_code add_rows(struct window_rows *rows, struct acc *acc, size_t from, size_t to,
                             struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    for (size_t i = from; rc == NX_OK && i < to; i++) {
        arena_reset(&rows->stage->arena);
        stage_bind(rows->stage, rows->docs[i], NX_SLICE_NULL);
        rc = acc_add(acc, &rows->stage->env, err);
        if (rc == NX_OK)
            rc = budget_tick(&rows->stage->context->budget, err);
    }
    return rc;
}

static enum nx_code compute_acc(const struct window_function *fn, struct window_rows *rows,
                                struct nx_value *out, struct nx_err *err)
{
    size_t from = 0, to = 0, had_from = 0, had_to = 0;
    struct acc acc;
    enum nx_code rc = NX_OK;

    acc_init(&acc, fn->acc);
    for (size_t i = 0; rc == NX_OK && i < rows->count; i++) {
        rc = window_rows_of(fn, rows, i, &from, &to, err);
        if (rc != NX_OK)
            break;
        if (i && from == had_from && to == had_to) {
            out[i] = out[i - 1];
            continue;
        }
        if (from != had_from || to < had_to) {
            acc_fini(&acc);
            had_to = from;
        }
        rc = add_rows(rows, &acc, had_to, to > had_to ? to : had_to, err);
        had_from = from;
        had_to = to > had_to ? to : had_to;
        if (rc == NX_OK)
            rc = acc_result(&acc, rows->arena, &out[i], err);
    }
    acc_fini(&acc);
    return rc;
}

enum nx_code window_function_compute(const struct window_function *fn, struct window_rows *rows,
                                     struct nx_value *out, struct nx_err *err)
{
    return fn->class ? fn->class->compute(fn, rows, out, err) : compute_acc(fn, rows, out, err);
}
