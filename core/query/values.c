/*
 * values.c - lists that grow in an arena, and the BSON made from them.
 *
 * A list doubles by copying: what it leaves behind in the arena is at most as much again, and is
 * gone at the arena's next reset. BSON itself is written by nx_builder, the one place that knows
 * it.
 */
#include "query/values.h"

#include <stdlib.h>
#include <xxhash.h>

#define LINEAR_FIELDS 32 /* up to so many, comparing all beats hashing */

static enum nx_code grow(void **at, size_t len, size_t *cap, size_t item, struct arena *arena,
                         struct nx_err *err)
{
    size_t wanted = *cap ? *cap * 2 : 8;
    void *room;

    if (len < *cap)
        return NX_OK;
    room = arena_alloc(arena, wanted * item);
    if (!room)
        return nx_fail_nomem(err);
    if (len)
        memcpy(room, *at, len * item);
    *at = room;
    *cap = wanted;
    return NX_OK;
}

enum nx_code value_list_push(struct value_list *list, struct arena *arena,
                             const struct nx_value *value, struct nx_err *err)
{
    void *at = list->at;
    enum nx_code rc = grow(&at, list->len, &list->cap, sizeof *list->at, arena, err);

    if (rc != NX_OK)
        return rc;
    list->at = at;
    list->at[list->len++] = *value;
    return NX_OK;
}

enum nx_code value_list_extend(struct value_list *list, struct arena *arena,
                               const struct nx_value *array, struct nx_err *err)
{
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    nx_doc_iter_init(&iter, nx_value_slice(array));
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = value_list_push(list, arena, &iter.value, err);
    return rc;
}

struct order {
    value_compare_fn compare;
    const void *arg;
};

/* Merge two sorted runs of `from` into `to`: equal values keep their order. */
static void merge_runs(const struct nx_value *from, size_t start, size_t middle, size_t end,
                       const struct order *order, struct nx_value *to)
{
    size_t a = start, b = middle;

    for (size_t i = start; i < end; i++) {
        bool take_a =
            a < middle && (b >= end || order->compare(order->arg, &from[a], &from[b]) <= 0);

        to[i] = take_a ? from[a++] : from[b++];
    }
}

enum nx_code value_list_sort_by(struct value_list *list, struct arena *arena,
                                value_compare_fn compare, const void *arg, struct nx_err *err)
{
    const struct order order = {compare, arg};
    struct nx_value *from = list->at, *to;

    if (list->len < 2)
        return NX_OK;
    to = arena_alloc(arena, list->len * sizeof *to);
    if (!to)
        return nx_fail_nomem(err);
    for (size_t width = 1; width < list->len; width *= 2) {
        struct nx_value *sorted = to;

        for (size_t i = 0; i < list->len; i += 2 * width) {
            size_t middle = i + width < list->len ? i + width : list->len;
            size_t end = i + 2 * width < list->len ? i + 2 * width : list->len;

            merge_runs(from, i, middle, end, &order, to);
        }
        to = from;
        from = sorted;
    }
    list->at = from;
    return NX_OK;
}

static int by_value(const void *arg, const struct nx_value *a, const struct nx_value *b)
{
    return nx_value_compare(a, b) * *(const int *)arg;
}

enum nx_code value_list_sort(struct value_list *list, struct arena *arena, int direction,
                             struct nx_err *err)
{
    return value_list_sort_by(list, arena, by_value, &direction, err);
}

void value_list_unique(struct value_list *list)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->len; i++)
        if (kept == 0 || nx_value_compare(&list->at[kept - 1], &list->at[i]) != 0)
            list->at[kept++] = list->at[i];
    list->len = kept;
}

enum nx_code field_list_push(struct field_list *list, struct arena *arena, const char *key,
                             size_t key_len, struct nx_value value, struct nx_err *err)
{
    void *at = list->at;
    enum nx_code rc = grow(&at, list->len, &list->cap, sizeof *list->at, arena, err);

    if (rc != NX_OK)
        return rc;
    list->at = at;
    list->at[list->len++] = (struct value_field){key, (uint32_t)key_len, value};
    return NX_OK;
}

static bool has_key(const struct value_field *field, const char *key, size_t key_len)
{
    return field->key_len == key_len && memcmp(field->key, key, key_len) == 0;
}

/* Where `key` is in the table of slots, or would be. */
static uint32_t *slot_of(const struct field_list *list, const char *key, size_t key_len)
{
    size_t mask = list->slot_count - 1;
    size_t at = (size_t)XXH3_64bits(key, key_len) & mask;

    while (list->slots[at] && !has_key(&list->at[list->slots[at] - 1], key, key_len))
        at = (at + 1) & mask;
    return &list->slots[at];
}

/* Put the fields that came since the last call into the table, which stays half empty. */
static enum nx_code index_fields(struct field_list *list, struct arena *arena, struct nx_err *err)
{
    if (list->slot_count < 2 * (list->len + 1)) {
        size_t count = list->slot_count ? list->slot_count * 2 : 4 * LINEAR_FIELDS;

        while (count < 2 * (list->len + 1))
            count *= 2;
        list->slots = arena_alloc(arena, count * sizeof *list->slots);
        if (!list->slots)
            return nx_fail_nomem(err);
        memset(list->slots, 0, count * sizeof *list->slots);
        list->slot_count = count;
        list->indexed = 0;
    }
    for (; list->indexed < list->len; list->indexed++) {
        const struct value_field *field = &list->at[list->indexed];
        uint32_t *slot = slot_of(list, field->key, field->key_len);

        if (!*slot)
            *slot = (uint32_t)list->indexed + 1;
    }
    return NX_OK;
}

static enum nx_code find_field(struct field_list *list, struct arena *arena, const char *key,
                               size_t key_len, struct value_field **out, struct nx_err *err)
{
    enum nx_code rc = NX_OK;
    uint32_t place;

    *out = NULL;
    if (list->len >= LINEAR_FIELDS) {
        rc = index_fields(list, arena, err);
        place = rc == NX_OK ? *slot_of(list, key, key_len) : 0;
        if (place)
            *out = &list->at[place - 1];
        return rc;
    }
    for (size_t i = 0; !*out && i < list->len; i++)
        if (has_key(&list->at[i], key, key_len))
            *out = &list->at[i];
    return NX_OK;
}

enum nx_code field_list_set(struct field_list *list, struct arena *arena, const char *key,
                            size_t key_len, struct nx_value value, struct nx_err *err)
{
    struct value_field *field;
    enum nx_code rc = find_field(list, arena, key, key_len, &field, err);

    if (rc != NX_OK)
        return rc;
    if (!field)
        return field_list_push(list, arena, key, key_len, value, err);
    field->value = value;
    return NX_OK;
}

enum nx_code field_list_extend(struct field_list *list, struct arena *arena, struct nx_slice doc,
                               struct nx_err *err)
{
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    nx_doc_iter_init(&iter, doc);
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = field_list_push(list, arena, iter.key, iter.key_len, iter.value, err);
    return rc;
}

/* Close the builder and move its bytes to the arena. */
static enum nx_code settle(struct nx_builder *builder, struct arena *arena, uint8_t type,
                           struct nx_value *out, struct nx_err *err)
{
    enum nx_code rc = nx_builder_end(builder, err);
    const void *data;

    if (rc != NX_OK)
        return rc;
    data = arena_copy(arena, builder->buf->data, builder->buf->len);
    if (!data)
        return nx_fail_nomem(err);
    *out = (struct nx_value){.type = type, .len = (uint32_t)builder->buf->len, .data = data};
    return NX_OK;
}

enum nx_code value_array(struct arena *arena, const struct value_list *items, struct nx_value *out,
                         struct nx_err *err)
{
    struct nx_buf bytes NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_builder builder;

    nx_builder_init_array(&builder, &bytes);
    for (size_t i = 0; i < items->len; i++)
        nx_builder_push(&builder, &items->at[i]);
    return settle(&builder, arena, NX_TYPE_ARRAY, out, err);
}

enum nx_code value_document(struct arena *arena, const struct field_list *fields,
                            struct nx_value *out, struct nx_err *err)
{
    struct nx_buf bytes NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_builder builder;

    nx_builder_init(&builder, &bytes);
    for (size_t i = 0; i < fields->len; i++)
        nx_builder_put(&builder, fields->at[i].key, fields->at[i].key_len, &fields->at[i].value);
    return settle(&builder, arena, NX_TYPE_DOCUMENT, out, err);
}

enum nx_code value_text(struct arena *arena, const void *text, size_t len, struct nx_value *out,
                        struct nx_err *err)
{
    uint8_t *copy;

    if (len > NX_DOC_MAX_BYTES)
        return nx_fail(err, NX_ETOOBIG, "a string of %zu bytes is longer than a document may be",
                       len);
    copy = arena_alloc(arena, len + 1);
    if (!copy)
        return nx_fail_nomem(err);
    if (len)
        memcpy(copy, text, len);
    copy[len] = 0;
    *out = nx_string(copy, len);
    return NX_OK;
}

enum nx_code value_copy(struct arena *arena, const struct nx_value *value, struct nx_value *out,
                        struct nx_err *err)
{
    size_t len = value_borrowed(value);
    uint8_t *copy;

    *out = *value;
    if (len == 0 && value->type != NX_TYPE_STRING)
        return NX_OK;
    copy = arena_alloc(arena, len + 1); /* some readers count on the NUL behind a string */
    if (!copy)
        return nx_fail_nomem(err);
    memcpy(copy, value->data, len);
    copy[len] = 0;
    out->data = copy;
    return NX_OK;
}

bool value_deeper_than(const struct nx_value *value, unsigned limit)
{
    struct nx_doc_iter iter;

    if (value->type != NX_TYPE_DOCUMENT && value->type != NX_TYPE_ARRAY)
        return false;
    if (limit == 0)
        return true;
    nx_doc_iter_init(&iter, nx_value_slice(value));
    while (nx_doc_iter_next(&iter))
        if (value_deeper_than(&iter.value, limit - 1))
            return true;
    return false;
}
