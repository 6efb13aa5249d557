/*
 * batch.c - building, decoding and applying batches.
 *
 * Each change is a kind byte, the key's length and bytes and, but for a deletion, the value's. The
 * bytes go into the log as they are, so committing copies them once and encodes nothing.
 */
#include "storage/batch.h"

#include <stdlib.h>

#include "base/bytes.h"

enum nx_code nx_batch_new(struct nx_batch **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? NX_OK : NX_ENOMEM;
}

void nx_batch_free(struct nx_batch *batch)
{
    if (!batch)
        return;
    nx_buf_fini(&batch->bytes);
    free(batch);
}

void nx_batch_clear(struct nx_batch *batch)
{
    nx_buf_clear(&batch->bytes);
    batch->count = 0;
    batch->reclaims = false;
}

void nx_batch_mark_reclaiming(struct nx_batch *batch)
{
    batch->reclaims = true;
}

size_t nx_batch_count(const struct nx_batch *batch)
{
    return batch->count;
}

size_t nx_batch_bytes(const struct nx_batch *batch)
{
    return batch->bytes.len;
}

static uint8_t *put_slice(uint8_t *at, struct nx_slice slice)
{
    at += put_varint(at, slice.len);
    if (slice.len)
        memcpy(at, slice.data, slice.len);
    return at + slice.len;
}

static enum nx_code add(struct nx_batch *batch, enum change_kind kind, struct nx_slice key,
                        struct nx_slice value)
{
    size_t most = 1 + 2 * VARINT_MAX_BYTES + key.len + value.len;
    enum nx_code rc;
    uint8_t *at;

    if (most > BATCH_MAX_BYTES - batch->bytes.len)
        return NX_ETOOBIG;
    rc = nx_buf_reserve(&batch->bytes, most);
    if (rc != NX_OK)
        return rc;
    at = batch->bytes.data + batch->bytes.len;
    *at++ = (uint8_t)kind;
    at = put_slice(at, key);
    if (kind != CHANGE_DELETE)
        at = put_slice(at, value);
    batch->bytes.len = (size_t)(at - batch->bytes.data);
    batch->count++;
    return NX_OK;
}

static bool is_key(struct nx_slice key)
{
    return key.len >= 1 && key.len <= KEY_MAX_BYTES;
}

enum nx_code nx_batch_put(struct nx_batch *batch, struct nx_slice key, struct nx_slice value)
{
    if (!is_key(key))
        return NX_EINVAL;
    if (value.len > VALUE_MAX_BYTES)
        return NX_ETOOBIG;
    return add(batch, CHANGE_PUT, key, value);
}

enum nx_code nx_batch_delete(struct nx_batch *batch, struct nx_slice key)
{
    if (!is_key(key))
        return NX_EINVAL;
    return add(batch, CHANGE_DELETE, key, NX_SLICE_NULL);
}

enum nx_code nx_batch_delete_range(struct nx_batch *batch, struct nx_slice begin,
                                   struct nx_slice end)
{
    if (begin.len > KEY_MAX_BYTES || !is_key(end))
        return NX_EINVAL;
    if (nx_slice_compare(begin, end) >= 0)
        return NX_OK; /* holds no key */
    return add(batch, CHANGE_DELETE_RANGE, begin, end);
}

static bool take_slice(struct nx_slice *bytes, size_t most, struct nx_slice *out)
{
    const uint8_t *end = bytes->data + bytes->len;
    const uint8_t *at;
    uint64_t len;

    at = get_varint(bytes->data, end, &len);
    if (!at || len > most || len > (size_t)(end - at))
        return false;
    *out = nx_slice(at, (size_t)len);
    *bytes = nx_slice(at + len, (size_t)(end - at) - (size_t)len);
    return true;
}

bool change_take(struct nx_slice *bytes, struct change *out)
{
    static const size_t value_max[CHANGE_KINDS] = {
        [CHANGE_PUT] = VALUE_MAX_BYTES,
        [CHANGE_DELETE_RANGE] = KEY_MAX_BYTES,
    };

    if (bytes->len == 0 || bytes->data[0] >= CHANGE_KINDS)
        return false;
    *out = (struct change){.kind = (enum change_kind)bytes->data[0]};
    *bytes = nx_slice(bytes->data + 1, bytes->len - 1);
    if (!take_slice(bytes, KEY_MAX_BYTES, &out->key))
        return false;
    if (out->kind != CHANGE_DELETE_RANGE && out->key.len == 0)
        return false;
    return out->kind == CHANGE_DELETE || take_slice(bytes, value_max[out->kind], &out->value);
}

static enum nx_code apply_change(const struct change *change, uint64_t sequence,
                                 struct memtable *memtable, struct nx_err *err)
{
    struct range_tombstone range = {change->key, change->value, sequence};
    struct entry entry = {change->key, change->value, sequence,
                          change->kind == CHANGE_PUT ? ENTRY_PUT : ENTRY_DELETE};

    if (change->kind == CHANGE_DELETE_RANGE)
        return memtable_delete_range(memtable, &range, err);
    return memtable_apply(memtable, &entry, err);
}

enum nx_code batch_apply(struct nx_slice bytes, size_t count, uint64_t sequence,
                         struct memtable *memtable, struct nx_err *err)
{
    struct change change;

    for (size_t i = 0; i < count; i++) {
        enum nx_code rc;

        if (!change_take(&bytes, &change))
            return nx_fail(err, NX_ECORRUPT, "change %zu of %zu is not a change", i, count);
        rc = apply_change(&change, sequence + i, memtable, err);
        if (rc != NX_OK)
            return rc;
    }
    if (bytes.len != 0)
        return nx_fail(err, NX_ECORRUPT, "%zu bytes behind the last of %zu changes", bytes.len,
                       count);
    return NX_OK;
}
