/*
 * update_ops_fields.c - $set, $unset, $inc, $mul, $min, $max, $rename, $setOnInsert, $currentDate,
 * $bit: operators that give a field one new value.
 */
#include "query/numeric.h"
#include "query/update_node.h"

static enum nx_code wrong_field(const struct update_action *action, struct update_state *state,
                                const char *wanted, const struct nx_value *old)
{
    return nx_fail(state->err, NX_EUPDATE, "%s of '%s' needs %s there, not %s", action->op->name,
                   state->where ? state->where : "", wanted, nx_type_name(old->type));
}

static enum nx_code put(struct update_state *state, const char *key, size_t key_len,
                        const struct nx_value *value)
{
    nx_builder_put(state->out, key, key_len, value);
    return NX_OK;
}

static enum nx_code apply_set(const struct update_action *action, struct update_state *state,
                              const char *key, size_t key_len, const struct nx_value *old)
{
    (void)old;
    return put(state, key, key_len, &action->arg);
}

static enum nx_code apply_set_on_insert(const struct update_action *action,
                                        struct update_state *state, const char *key, size_t key_len,
                                        const struct nx_value *old)
{
    return put(state, key, key_len, state->run->inserting ? &action->arg : old);
}

/* Nothing is put: a field goes, an element of an array becomes null. */
static enum nx_code apply_unset(const struct update_action *action, struct update_state *state,
                                const char *key, size_t key_len, const struct nx_value *old)
{
    (void)action;
    (void)old;
    return put(state, key, key_len, &NX_MISSING);
}

/* --- arithmetic ------------------------------------------------------------------------------- */

static enum nx_code parse_number(const struct nx_value *arg, struct update_action *out,
                                 struct nx_err *err)
{
    if (!nx_is_number(arg))
        return nx_fail(err, NX_EUPDATE, "%s needs a number, not %s", out->op->name,
                       nx_type_name(arg->type));
    return NX_OK;
}

static bool is_integer_type(const struct nx_value *value)
{
    return value->type == NX_TYPE_INT32 || value->type == NX_TYPE_INT64;
}

static enum nx_code arithmetic(const struct update_action *action, struct update_state *state,
                               numeric_fn fn, const char *key, size_t key_len,
                               const struct nx_value *old)
{
    struct nx_value result;
    enum nx_code rc;

    if (!nx_is_number(old))
        return wrong_field(action, state, "a number", old);
    rc = fn(state->run->env->arena, old, &action->arg, &result, state->err);
    if (rc != NX_OK)
        return rc;
    if (is_integer_type(old) && is_integer_type(&action->arg) && !is_integer_type(&result))
        return nx_fail(state->err, NX_EUPDATE, "%s of '%s': the result does not fit 64 bits",
                       action->op->name, state->where ? state->where : "");
    return put(state, key, key_len, &result);
}

static enum nx_code apply_inc(const struct update_action *action, struct update_state *state,
                              const char *key, size_t key_len, const struct nx_value *old)
{
    if (old->type == NX_TYPE_MISSING)
        return put(state, key, key_len, &action->arg);
    return arithmetic(action, state, numeric_add, key, key_len, old);
}

static enum nx_code apply_mul(const struct update_action *action, struct update_state *state,
                              const char *key, size_t key_len, const struct nx_value *old)
{
    struct nx_value zero = nx_int32(0);

    return arithmetic(action, state, numeric_multiply, key, key_len,
                      old->type == NX_TYPE_MISSING ? &zero : old);
}

static enum nx_code apply_min(const struct update_action *action, struct update_state *state,
                              const char *key, size_t key_len, const struct nx_value *old)
{
    bool replaces = old->type == NX_TYPE_MISSING || nx_value_compare(&action->arg, old) < 0;

    return put(state, key, key_len, replaces ? &action->arg : old);
}

static enum nx_code apply_max(const struct update_action *action, struct update_state *state,
                              const char *key, size_t key_len, const struct nx_value *old)
{
    bool replaces = old->type == NX_TYPE_MISSING || nx_value_compare(&action->arg, old) > 0;

    return put(state, key, key_len, replaces ? &action->arg : old);
}

static enum nx_code parse_bit(const struct nx_value *arg, struct update_action *out,
                              struct nx_err *err)
{
    struct nx_doc_iter iter;
    bool any = false;

    (void)out;
    if (arg->type != NX_TYPE_DOCUMENT)
        return nx_fail(err, NX_EUPDATE, "$bit needs {and|or|xor: <integer>}, not %s",
                       nx_type_name(arg->type));
    nx_doc_iter_init(&iter, nx_value_slice(arg));
    for (; nx_doc_iter_next(&iter); any = true) {
        if (strcmp(iter.key, "and") && strcmp(iter.key, "or") && strcmp(iter.key, "xor"))
            return nx_fail(err, NX_EUPDATE, "$bit knows and, or and xor, not '%.60s'", iter.key);
        if (!is_integer_type(&iter.value))
            return nx_fail(err, NX_EUPDATE, "$bit %s needs an integer, not %s", iter.key,
                           nx_type_name(iter.value.type));
    }
    return any ? NX_OK : nx_fail(err, NX_EUPDATE, "$bit needs one of and, or, xor");
}

static int64_t integer(const struct nx_value *value)
{
    return value->type == NX_TYPE_INT32 ? value->i32 : value->i64;
}

static int64_t combine(const char *name, int64_t a, int64_t b)
{
    if (name[0] == 'a')
        return a & b;
    return name[0] == 'o' ? (a | b) : (a ^ b);
}

static enum nx_code apply_bit(const struct update_action *action, struct update_state *state,
                              const char *key, size_t key_len, const struct nx_value *old)
{
    struct nx_value value = old->type == NX_TYPE_MISSING ? nx_int32(0) : *old;
    struct nx_doc_iter iter;

    if (!is_integer_type(&value))
        return wrong_field(action, state, "an integer", old);
    nx_doc_iter_init(&iter, nx_value_slice(&action->arg));
    while (nx_doc_iter_next(&iter)) {
        int64_t bits = combine(iter.key, integer(&value), integer(&iter.value));
        bool wide = value.type == NX_TYPE_INT64 || iter.value.type == NX_TYPE_INT64;

        value = wide ? nx_int64(bits) : nx_int32((int32_t)bits);
    }
    return put(state, key, key_len, &value);
}

/* --- $currentDate ----------------------------------------------------------------------------- */

static enum nx_code parse_current_date(const struct nx_value *arg, struct update_action *out,
                                       struct nx_err *err)
{
    struct nx_value type = NX_MISSING;

    if (arg->type == NX_TYPE_BOOL)
        return NX_OK;
    if (arg->type == NX_TYPE_DOCUMENT && nx_doc_count(nx_value_slice(arg)) == 1)
        type = nx_doc_get_z(nx_value_slice(arg), "$type");
    if (type.type == NX_TYPE_STRING) {
        out->timestamp = nx_slice_equal(nx_value_slice(&type), nx_slice_str("timestamp"));
        if (out->timestamp || nx_slice_equal(nx_value_slice(&type), nx_slice_str("date")))
            return NX_OK;
    }
    return nx_fail(err, NX_EUPDATE,
                   "$currentDate needs true or {\"$type\": \"date\" or \"timestamp\"}");
}

static enum nx_code apply_current_date(const struct update_action *action,
                                       struct update_state *state, const char *key, size_t key_len,
                                       const struct nx_value *old)
{
    struct nx_value now = *state->run->env->now;

    (void)old;
    if (action->timestamp)
        now = (struct nx_value){.type = NX_TYPE_TIMESTAMP,
                                .i64 = (int64_t)((uint64_t)(now.i64 / 1000) << 32 | 1)};
    return put(state, key, key_len, &now);
}

/* --- $rename ---------------------------------------------------------------------------------- */

static enum nx_code apply_rename_to(const struct update_action *action, struct update_state *state,
                                    const char *key, size_t key_len, const struct nx_value *old)
{
    struct nx_value moved = path_get_plain(&action->path, state->doc);

    return put(state, key, key_len, moved.type == NX_TYPE_MISSING ? old : &moved);
}

const struct update_op update_op_rename_from = {"$rename", UPDATE_NO_ARRAY, NULL, apply_unset, ""};
const struct update_op update_op_rename_to = {
    "$rename", UPDATE_CREATES | UPDATE_MOVES | UPDATE_NO_ARRAY, NULL, apply_rename_to, ""};
const struct update_op update_op_set = {"$set", UPDATE_CREATES, NULL, apply_set, ""};

const struct update_op update_ops_fields[] = {
    {"$bit", UPDATE_CREATES, parse_bit, apply_bit, "and, or, xor with an integer"},
    {"$currentDate", UPDATE_CREATES, parse_current_date, apply_current_date,
     "set to the time of the update"},
    {"$inc", UPDATE_CREATES, parse_number, apply_inc, "add a number"},
    {"$max", UPDATE_CREATES, NULL, apply_max, "set when the value is greater"},
    {"$min", UPDATE_CREATES, NULL, apply_min, "set when the value is less"},
    {"$mul", UPDATE_CREATES, parse_number, apply_mul, "multiply by a number"},
    {"$rename", 0, NULL, NULL, "give the field another name"},
    {"$set", UPDATE_CREATES, NULL, apply_set, "set to a value"},
    {"$setOnInsert", UPDATE_CREATES | UPDATE_ON_INSERT, NULL, apply_set_on_insert,
     "set to a value, only when an upsert inserts"},
    {"$unset", 0, NULL, apply_unset, "remove the field"},
    {.name = NULL},
};
