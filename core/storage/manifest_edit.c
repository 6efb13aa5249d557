/*
 * manifest_edit.c - an edit is a list of fields, each a tag and its numbers as varints; removals
 * come before additions, so that a table can change its level in one edit.
 */
#include "storage/manifest_edit.h"

#include <stdlib.h>
#include <string.h>

#include <nexadb/engine.h>

#include "base/bytes.h"
#include "storage/entry.h"

enum tag {
    TAG_NEXT_NUMBER = 1,
    TAG_FLUSHED,
    TAG_LOG_START,
    TAG_REMOVE,
    TAG_ADD,
    TAG_DROP_SNAPSHOT,
    TAG_SNAPSHOT,
    TAG_ADD_RUN,
    TAG_COUNT
};

enum { FIELD_NUMBERS_MAX = 4 };

/* `name` is empty but for the fields that have one. */
typedef enum nx_code (*field_fn)(struct manifest_state *state, const uint64_t *numbers,
                                 struct nx_slice name, struct nx_err *err);

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

static enum nx_code put_snapshot(struct nx_buf *out, const struct nx_snapshot_info *s)
{
    uint8_t len[VARINT_MAX_BYTES];
    enum nx_code rc =
        put_field(out, TAG_SNAPSHOT, (uint64_t[]){s->number, s->sequence, (uint64_t)s->time_ns}, 3);

    if (rc == NX_OK)
        rc = nx_buf_append(out, len, put_varint(len, s->name_len));
    return rc == NX_OK ? nx_buf_append(out, s->name, s->name_len) : rc;
}

static enum nx_code put_table(struct nx_buf *out, const struct manifest_table *table)
{
    const uint64_t numbers[] = {table->level, table->number, table->bytes, table->sequence};

    return table->sequence ? put_field(out, TAG_ADD_RUN, numbers, 4)
                           : put_field(out, TAG_ADD, numbers, 3);
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
    for (size_t i = 0; i < edit->added_count && rc == NX_OK; i++)
        rc = put_table(out, &edit->added[i]);
    if (rc == NX_OK)
        rc = put_if_set(out, TAG_DROP_SNAPSHOT, edit->dropped_snapshot);
    for (size_t i = 0; i < edit->snapshot_count && rc == NX_OK; i++)
        rc = put_snapshot(out, &edit->snapshots[i]);
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
                                    struct nx_slice name, struct nx_err *err)
{
    (void)name, (void)err;
    state->next_number = numbers[0];
    return NX_OK;
}

static enum nx_code set_flushed(struct manifest_state *state, const uint64_t *numbers,
                                struct nx_slice name, struct nx_err *err)
{
    (void)name;
    if (numbers[0] < state->flushed_sequence)
        return nx_fail(err, NX_ECORRUPT, "flushed sequence steps back to %llu",
                       (unsigned long long)numbers[0]);
    state->flushed_sequence = numbers[0];
    return NX_OK;
}

static enum nx_code set_log_start(struct manifest_state *state, const uint64_t *numbers,
                                  struct nx_slice name, struct nx_err *err)
{
    (void)name;
    if (numbers[0] < state->log_start)
        return nx_fail(err, NX_ECORRUPT, "log start steps back to %llu",
                       (unsigned long long)numbers[0]);
    state->log_start = numbers[0];
    return NX_OK;
}

static enum nx_code remove_table(struct manifest_state *state, const uint64_t *numbers,
                                 struct nx_slice name, struct nx_err *err)
{
    size_t at = find(state, numbers[0]);

    (void)name;
    if (!is_at(state, at, numbers[0]))
        return nx_fail(err, NX_ECORRUPT, "removes table %llu, which is not there",
                       (unsigned long long)numbers[0]);
    state->count--;
    memmove(state->tables + at, state->tables + at + 1,
            (state->count - at) * sizeof *state->tables);
    return NX_OK;
}

static enum nx_code add_row(struct manifest_state *state, const uint64_t *numbers,
                            uint64_t sequence, struct nx_err *err)
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
    tables[at] = (struct manifest_table){.level = (unsigned)numbers[0],
                                         .number = numbers[1],
                                         .bytes = numbers[2],
                                         .sequence = sequence};
    state->count++;
    return NX_OK;
}

static enum nx_code add_table(struct manifest_state *state, const uint64_t *numbers,
                              struct nx_slice name, struct nx_err *err)
{
    (void)name;
    return add_row(state, numbers, 0, err);
}

static enum nx_code add_run(struct manifest_state *state, const uint64_t *numbers,
                            struct nx_slice name, struct nx_err *err)
{
    (void)name;
    if (numbers[3] == 0 || numbers[3] > SEQUENCE_MAX)
        return nx_fail(err, NX_ECORRUPT, "adds table %llu at sequence %llu",
                       (unsigned long long)numbers[1], (unsigned long long)numbers[3]);
    return add_row(state, numbers, numbers[3], err);
}

/* Index of the first snapshot whose number is not lower. */
static size_t find_snapshot(const struct manifest_state *state, uint64_t number)
{
    size_t at = 0;

    while (at < state->snapshot_count && state->snapshots[at].number < number)
        at++;
    return at;
}

static bool is_snapshot_at(const struct manifest_state *state, size_t at, uint64_t number)
{
    return at < state->snapshot_count && state->snapshots[at].number == number;
}

static enum nx_code drop_snapshot(struct manifest_state *state, const uint64_t *numbers,
                                  struct nx_slice name, struct nx_err *err)
{
    size_t at = find_snapshot(state, numbers[0]);

    (void)name;
    if (!is_snapshot_at(state, at, numbers[0]))
        return nx_fail(err, NX_ECORRUPT, "drops snapshot %llu, which is not there",
                       (unsigned long long)numbers[0]);
    state->snapshot_count--;
    memmove(state->snapshots + at, state->snapshots + at + 1,
            (state->snapshot_count - at) * sizeof *state->snapshots);
    return NX_OK;
}

static enum nx_code add_snapshot(struct manifest_state *state, const uint64_t *numbers,
                                 struct nx_slice name, struct nx_err *err)
{
    size_t at = find_snapshot(state, numbers[0]);
    struct nx_snapshot_info *rows;

    if (numbers[0] == 0 || numbers[0] > NX_SNAPSHOTS_MAX || name.len == 0 ||
        name.len > NX_SNAPSHOT_NAME_MAX || is_snapshot_at(state, at, numbers[0]))
        return nx_fail(err, NX_ECORRUPT, "makes snapshot %llu with a name of %zu bytes",
                       (unsigned long long)numbers[0], name.len);
    rows = realloc(state->snapshots, (state->snapshot_count + 1) * sizeof *rows);
    if (!rows)
        return nx_fail_nomem(err);
    state->snapshots = rows;
    memmove(rows + at + 1, rows + at, (state->snapshot_count - at) * sizeof *rows);
    rows[at] = (struct nx_snapshot_info){.number = (uint32_t)numbers[0],
                                         .sequence = numbers[1],
                                         .time_ns = (int64_t)numbers[2],
                                         .name_len = name.len};
    memcpy(rows[at].name, name.data, name.len);
    state->snapshot_count++;
    return NX_OK;
}

static const struct {
    const char *name; /* as it is printed */
    size_t numbers;
    bool has_name; /* behind the numbers: its length and bytes */
    field_fn apply;
} fields[TAG_COUNT] = {
    [TAG_NEXT_NUMBER] = {"next table number", 1, false, set_next_number},
    [TAG_FLUSHED] = {"flushed sequence", 1, false, set_flushed},
    [TAG_LOG_START] = {"log starts at segment", 1, false, set_log_start},
    [TAG_REMOVE] = {"remove table", 1, false, remove_table},
    [TAG_ADD] = {"add table (level, number, bytes)", 3, false, add_table},
    [TAG_DROP_SNAPSHOT] = {"drop snapshot", 1, false, drop_snapshot},
    [TAG_SNAPSHOT] = {"snapshot (number, sequence, time)", 3, true, add_snapshot},
    [TAG_ADD_RUN] = {"add table of a run (level, number, bytes, sequence)", 4, false, add_run},
};

static const uint8_t *get_name(const uint8_t *at, const uint8_t *end, struct nx_slice *out)
{
    uint64_t len;

    at = get_varint(at, end, &len);
    if (!at || len > (uint64_t)(end - at))
        return NULL;
    *out = nx_slice(at, (size_t)len);
    return at + len;
}

struct field {
    uint64_t tag, numbers[FIELD_NUMBERS_MAX];
    struct nx_slice name;
};

/* Take the first field off `bytes`. */
static enum nx_code take_field(struct nx_slice *bytes, struct field *out, struct nx_err *err)
{
    const uint8_t *end = bytes->data + bytes->len;
    const uint8_t *at = get_varint(bytes->data, end, &out->tag);

    out->name = NX_SLICE_NULL;
    if (at && (out->tag >= TAG_COUNT || !fields[out->tag].apply))
        return nx_fail(err, NX_EVERSION, "unknown field %llu", (unsigned long long)out->tag);
    for (size_t i = 0; at && i < fields[out->tag].numbers; i++)
        at = get_varint(at, end, &out->numbers[i]);
    if (at && fields[out->tag].has_name)
        at = get_name(at, end, &out->name);
    if (!at)
        return nx_fail(err, NX_ECORRUPT, "a field is cut off");
    *bytes = nx_slice(at, (size_t)(end - at));
    return NX_OK;
}

enum nx_code manifest_edit_apply(struct manifest_state *state, struct nx_slice bytes,
                                 struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    while (bytes.len && rc == NX_OK) {
        struct field field;

        rc = take_field(&bytes, &field, err);
        if (rc == NX_OK)
            rc = fields[field.tag].apply(state, field.numbers, field.name, err);
    }
    return rc;
}

enum nx_code manifest_edit_print(struct nx_slice *bytes, struct nx_buf *out, struct nx_err *err)
{
    struct field field;
    enum nx_code rc = take_field(bytes, &field, err);

    if (rc != NX_OK)
        return rc;
    nx_buf_clear(out);
    rc = nx_buf_append_str(out, fields[field.tag].name);
    for (size_t i = 0; i < fields[field.tag].numbers && rc == NX_OK; i++)
        rc = nx_buf_printf(out, " %llu", (unsigned long long)field.numbers[i]);
    if (rc == NX_OK && field.name.len)
        rc = nx_buf_printf(out, " '%.*s'", (int)field.name.len, (const char *)field.name.data);
    return rc == NX_OK ? NX_OK : nx_fail_nomem(err);
}
