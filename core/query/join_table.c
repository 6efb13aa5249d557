/*
 * join_table.c - entries (hash of a value, number of a document) in chains by hash.
 *
 * Documents are numbered as they come; _ids are kept as {"_id": value} one behind the other. All of
 * it is in three arrays that double, counted against the budget: some 40 bytes and the _id for a
 * document with one value.
 */
#include "query/join_table.h"

#include <stdlib.h>

#define FIRST_ENTRIES 1024u

struct entry {
    uint64_t hash;
    uint32_t document;
    uint32_t next; /* place + 1 in the chain, 0: the end */
};

struct join_table {
    struct budget *budget;   /* borrowed */
    const struct path *path; /* borrowed */
    struct entry *entries;   /* owned, `cap` of them */
    uint32_t *heads;         /* owned, `cap` of them: place + 1 by hash */
    size_t count, cap;
    size_t *id_at; /* owned: where a document's _id begins in `ids` */
    size_t documents, id_cap;
    struct nx_buf ids;
    uint64_t taken;
    enum nx_code failed; /* of an entry, while a document's path is walked */
    struct nx_err *err;
};

enum nx_code join_table_new(struct budget *budget, const struct path *path, struct join_table **out,
                            struct nx_err *err)
{
    struct join_table *table = calloc(1, sizeof *table);

    *out = table;
    if (!table)
        return nx_fail_nomem(err);
    table->budget = budget;
    table->path = path;
    return NX_OK;
}

void join_table_free(struct join_table *table)
{
    if (!table)
        return;
    budget_give(table->budget, table->taken);
    nx_buf_fini(&table->ids);
    free(table->entries);
    free(table->heads);
    free(table->id_at);
    free(table);
}

static enum nx_code take(struct join_table *table, uint64_t bytes, struct nx_err *err)
{
    uint64_t most = table->budget->limits.memory_bytes / 4; /* other stages need some as well */

    if (bytes > most || table->taken > most - bytes || !budget_take(table->budget, bytes))
        return budget_fail(table->budget, "a join", err);
    table->taken += bytes;
    return NX_OK;
}

static enum nx_code grow(struct join_table *table, struct nx_err *err)
{
    size_t cap = table->cap ? table->cap * 2 : FIRST_ENTRIES;
    struct entry *entries;
    uint32_t *heads;
    enum nx_code rc = take(table, (cap - table->cap) * (sizeof *entries + sizeof *heads), err);

    if (rc != NX_OK)
        return rc;
    entries = realloc(table->entries, cap * sizeof *entries);
    if (!entries)
        return nx_fail_nomem(err);
    table->entries = entries;
    heads = calloc(cap, sizeof *heads);
    if (!heads)
        return nx_fail_nomem(err);
    for (size_t i = 0; i < table->count; i++) {
        uint32_t *head = &heads[entries[i].hash & (cap - 1)];

        entries[i].next = *head;
        *head = (uint32_t)i + 1;
    }
    free(table->heads);
    table->heads = heads;
    table->cap = cap;
    return NX_OK;
}

/* null, undefined and a field that is not there are one to $lookup. */
static uint64_t hash_of(const struct nx_value *value)
{
    return nx_value_hash(nx_is_nullish(value) ? &NX_NULL : value, 0);
}

static bool add_entry(void *arg, const struct nx_value *value)
{
    struct join_table *table = arg;
    uint64_t hash = hash_of(value);
    uint32_t *head;

    if (table->count == table->cap)
        table->failed = table->count == UINT32_MAX / 2
                            ? budget_fail(table->budget, "a join", table->err)
                            : grow(table, table->err);
    if (table->failed != NX_OK)
        return true;
    head = &table->heads[hash & (table->cap - 1)];
    table->entries[table->count] = (struct entry){hash, (uint32_t)table->documents, *head};
    *head = (uint32_t)++table->count;
    return false;
}

static enum nx_code keep_id(struct join_table *table, struct nx_slice doc, struct nx_err *err)
{
    size_t before = table->ids.cap, start = table->ids.len;
    struct nx_builder builder;
    enum nx_code rc = NX_OK;

    if (table->documents == table->id_cap) {
        size_t cap = table->id_cap ? table->id_cap * 2 : FIRST_ENTRIES;
        size_t *id_at = realloc(table->id_at, cap * sizeof *id_at);

        if (!id_at)
            return nx_fail_nomem(err);
        table->id_at = id_at;
        rc = take(table, (cap - table->id_cap) * sizeof *id_at, err);
        table->id_cap = cap;
    }
    nx_builder_init(&builder, &table->ids);
    nx_builder_put_z(&builder, "_id", nx_doc_get(doc, "_id", 3));
    if (rc == NX_OK)
        rc = nx_builder_end(&builder, err);
    if (rc == NX_OK)
        rc = take(table, table->ids.cap - before, err);
    table->id_at[table->documents] = start;
    return rc;
}

enum nx_code join_table_add(struct join_table *table, struct nx_slice doc, struct nx_err *err)
{
    enum nx_code rc = keep_id(table, doc, err);

    if (rc != NX_OK)
        return rc;
    table->failed = NX_OK;
    table->err = err;
    path_each_expanded(table->path, doc, add_entry, table);
    table->documents++;
    return table->failed;
}

/* --- finding ---------------------------------------------------------------------------------- */

struct numbers {
    uint32_t *at; /* in an arena */
    size_t len, cap;
};

static enum nx_code push_number(struct numbers *numbers, uint32_t number, struct arena *arena,
                                struct nx_err *err)
{
    size_t cap = numbers->cap ? numbers->cap * 2 : 16;
    uint32_t *at;

    if (numbers->len == numbers->cap) {
        at = arena_alloc(arena, cap * sizeof *at);
        if (!at)
            return nx_fail_nomem(err);
        if (numbers->len)
            memcpy(at, numbers->at, numbers->len * sizeof *at);
        numbers->at = at;
        numbers->cap = cap;
    }
    numbers->at[numbers->len++] = number;
    return NX_OK;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static enum nx_code gather(const struct join_table *table, const struct nx_value *value,
                           struct numbers *found, struct arena *arena, struct nx_err *err)
{
    uint64_t hash = hash_of(value);
    uint32_t at = table->cap ? table->heads[hash & (table->cap - 1)] : 0;
    enum nx_code rc = NX_OK;

    for (; rc == NX_OK && at; at = table->entries[at - 1].next)
        if (table->entries[at - 1].hash == hash)
            rc = push_number(found, table->entries[at - 1].document, arena, err);
    return rc;
}

enum nx_code join_table_find(const struct join_table *table, const struct value_list *values,
                             struct arena *arena, struct nx_builder *out, struct nx_err *err)
{
    struct numbers found = {0};
    enum nx_code rc = NX_OK;

    for (size_t i = 0; rc == NX_OK && i < values->len; i++)
        rc = gather(table, &values->at[i], &found, arena, err);
    if (found.len)
        qsort(found.at, found.len, sizeof *found.at, by_number);
    for (size_t i = 0; rc == NX_OK && i < found.len; i++) {
        const uint8_t *doc = table->ids.data + table->id_at[found.at[i]];
        struct nx_value id =
            nx_doc_get(nx_slice(doc, table->ids.len - table->id_at[found.at[i]]), "_id", 3);

        if (i == 0 || found.at[i] != found.at[i - 1])
            nx_builder_push(out, &id);
    }
    return rc;
}
