/*
 * manifest_edit.c - an edit is a list of fields, each a tag and its numbers as varints; removals
 * come before additions, so that a table can change its level in one edit.
 */
#include "storage/manifest_edit.h"

#include <stdlib.h>
#include <string.h>

#include <nexadb/engine.h>

#include "base/bytes.h"

enum tag {
    TAG_NEXT_NUMBER = 1,
    TAG_FLUSHED,
    TAG_LOG_START,
    TAG_REMOVE,
    TAG_ADD,
    TAG_POSITION,
    TAG_COUNT
};

enum { FIELD_NUMBERS_MAX = 3 };

typedef enum nx_code (*field_fn)(struct manifest_state *state, const uint64_t *numbers,
                                 struct nx_err *err);

static enum nx_code put_field(struct nx_buf *out, enum tag tag, const uint64_t *numbers,
                              size_t count)
{
    uint8_t bytes[(1 + FIELD_NUMBERS_MAX) * VARINT_MAX_BYTES];
    size_t len = put_varint(bytes, tag);

    for (size_t i = 0; i < count; i++)
        len += put_varint(bytes + len, numbers[i]);
    return nx_buf_append(out, bytes, len);
}

static enum nx_code put_if_set(struct nx_buf *out, enum tag tag, uint64_t number)
{
    return number ? put_field(out, tag, &number, 1) : NX_OK;
}

enum nx_code manifest_edit_encode(struct nx_buf *out, const struct manifest_edit *edit,
                                  struct nx_err *err)
{
    enum nx_code rc = put_if_set(out, TAG_NEXT_NUMBER, edit->next_number);

    if (rc == NX_OK)
        rc = put_if_set(out, TAG_FLUSHED, edit->flushed_sequence);
    if (rc == NX_OK)
        rc = put_if_set(out, TAG_LOG_START, edit->log_start);
    for (size_t i = 0; i < edit->removed_count && rc == NX_OK; i++)
        rc = put_field(out, TAG_REMOVE, &edit->removed[i], 1);
    for (size_t i = 0; i < edit->added_count && rc == NX_OK; i++) {
        const struct manifest_table *table = &edit->added[i];

        rc = put_field(out, TAG_ADD, (uint64_t[]){table->level, table->number, table->bytes}, 3);
    }
    return rc == NX_OK ? NX_OK : nx_fail_nomem(err);
}

/* Index of the first table whose number is not lower. */
static size_t find(const struct manifest_state *state, uint64_t number)
{
    size_t low = 0, high = state->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (state->tables[mid].number < number)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool is_at(const struct manifest_state *state, size_t at, uint64_t number)
{
    return at < state->count && state->tables[at].number == number;
}

static enum nx_code set_next_number(struct manifest_state *state, const uint64_t *numbers,
                                    struct nx_err *err)
{
    (void)err;
    state->next_number = numbers[0];
    return NX_OK;
}

static enum nx_code set_flushed(struct manifest_state *state, const uint64_t *numbers,
                                struct nx_err *err)
{
    if (numbers[0] < state->flushed_sequence)
        return nx_fail(err, NX_ECORRUPT, "flushed sequence steps back to %llu",
                       (unsigned long long)numbers[0]);
    state->flushed_sequence = numbers[0];
    return NX_OK;
}

static enum nx_code set_log_start(struct manifest_state *state, const uint64_t *numbers,
                                  struct nx_err *err)
{
    if (numbers[0] < state->log_start)
        return nx_fail(err, NX_ECORRUPT, "log start steps back to %llu",
                       (unsigned long long)numbers[0]);
    state->log_start = numbers[0];
    return NX_OK;
}

static enum nx_code remove_table(struct manifest_state *state, const uint64_t *numbers,
                                 struct nx_err *err)
{
    size_t at = find(state, numbers[0]);

    if (!is_at(state, at, numbers[0]))
        return nx_fail(err, NX_ECORRUPT, "removes table %llu, which is not there",
                       (unsigned long long)numbers[0]);
    state->count--;
    memmove(state->tables + at, state->tables + at + 1,
            (state->count - at) * sizeof *state->tables);
    return NX_OK;
}

static enum nx_code add_table(struct manifest_state *state, const uint64_t *numbers,
                              struct nx_err *err)
{
    size_t at = find(state, numbers[1]);
    struct manifest_table *tables;

    if (numbers[0] >= NX_LEVELS || is_at(state, at, numbers[1]))
        return nx_fail(err, NX_ECORRUPT, "adds table %llu at level %llu",
                       (unsigned long long)numbers[1], (unsigned long long)numbers[0]);
    tables = realloc(state->tables, (state->count + 1) * sizeof *tables);
    if (!tables)
        return nx_fail_nomem(err);
    state->tables = tables;
    memmove(tables + at + 1, tables + at, (state->count - at) * sizeof *tables);
    tables[at] = (struct manifest_table){
        .level = (unsigned)numbers[0], .number = numbers[1], .bytes = numbers[2]};
    state->count++;
    return NX_OK;
}

static const struct {
    size_t numbers;
    field_fn apply;
} fields[TAG_COUNT] = {
    [TAG_NEXT_NUMBER] = {1, set_next_number},
    [TAG_FLUSHED] = {1, set_flushed},
    [TAG_LOG_START] = {1, set_log_start},
    [TAG_REMOVE] = {1, remove_table},
    [TAG_ADD] = {3, add_table},
};

enum nx_code manifest_edit_apply(struct manifest_state *state, struct nx_slice bytes,
                                 struct nx_err *err)
{
    const uint8_t *end = bytes.data + bytes.len;
    const uint8_t *at = bytes.data;
    enum nx_code rc = NX_OK;

    while (at < end && rc == NX_OK) {
        uint64_t tag, numbers[FIELD_NUMBERS_MAX];

        at = get_varint(at, end, &tag);
        if (at && (tag >= TAG_COUNT || !fields[tag].apply))
            return nx_fail(err, NX_EVERSION, "unknown field %llu", (unsigned long long)tag);
        for (size_t i = 0; at && i < fields[tag].numbers; i++)
            at = get_varint(at, end, &numbers[i]);
        if (!at)
            return nx_fail(err, NX_ECORRUPT, "a field is cut off");
        rc = fields[tag].apply(state, numbers, err);
    }
    return rc;
}
