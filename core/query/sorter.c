/*
 * sorter.c - collecting documents and giving them back in order.
 *
 * Without a limit the records are gathered and sorted at the end. With one they form a heap of the
 * first `limit`, whose root is the last of them, and what comes after the root is dropped at once.
 *
 *   add ----> memory --(budget used up: spill)--> run, run, ... --(MAX_RUNS: merge_runs)--> run
 *   next <--- memory, or the merge of all runs
 *
 * I1: a record's keys point into the record's own copy of the document.
 * I2: the sequence number makes the order total, so every path through runs gives the same answer.
 */
#include <stdlib.h>

#include "query/sort.h"
#include "query/sort_run.h"

#define MAX_RUNS 16

struct record {
    uint64_t sequence;
    uint32_t doc_len, metadata_len;
    struct nx_value keys[]; /* then the document, then the metadata */
};

/* The next item of a run, with its keys. */
struct head {
    struct sort_run *run; /* owned */
    struct sort_item item;
    struct nx_value *keys; /* owned */
    bool done;
};

struct sorter {
    const struct sort_spec *spec; /* outlives it */
    struct budget *budget;        /* outlives it */
    uint64_t limit;               /* 0: none */
    char *spill_dir;              /* owned, or NULL */
    struct record **records;      /* owned, as are its members */
    size_t count, cap;
    uint64_t sequence, taken_bytes;
    struct head runs[MAX_RUNS];
    unsigned run_count;
    uint64_t spilled;
    bool reading;
    uint64_t given;    /* documents given back */
    struct head *last; /* whose item was given last and must be advanced */
    struct nx_slice metadata;
};

enum nx_code sorter_new(const struct sort_spec *spec, uint64_t limit, struct budget *budget,
                        const char *spill_dir, struct sorter **out, struct nx_err *err)
{
    struct sorter *sorter;

    *out = NULL;
    sorter = calloc(1, sizeof *sorter);
    if (!sorter)
        return nx_fail_nomem(err);
    sorter->spec = spec;
    sorter->limit = limit;
    sorter->budget = budget;
    if (spill_dir) {
        sorter->spill_dir = strdup(spill_dir);
        if (!sorter->spill_dir) {
            sorter_free(sorter);
            return nx_fail_nomem(err);
        }
    }
    *out = sorter;
    return NX_OK;
}

/* --- records ---------------------------------------------------------------------------------- */

static size_t key_bytes(const struct sorter *sorter)
{
    return sort_spec_fields(sorter->spec) * sizeof(struct nx_value);
}

static uint8_t *record_bytes(const struct sorter *sorter, struct record *record)
{
    return (uint8_t *)record->keys + key_bytes(sorter);
}

static size_t record_size(const struct sorter *sorter, size_t doc_len, size_t metadata_len)
{
    return sizeof(struct record) + key_bytes(sorter) + doc_len + metadata_len;
}

static void forget(struct sorter *sorter, struct record *record)
{
    size_t size = record_size(sorter, record->doc_len, record->metadata_len);

    budget_give(sorter->budget, size);
    sorter->taken_bytes -= size;
    free(record);
}

static struct sort_item item_of(const struct sorter *sorter, struct record *record)
{
    const uint8_t *bytes = record_bytes(sorter, record);

    return (struct sort_item){record->sequence, nx_slice(bytes, record->doc_len),
                              nx_slice(bytes + record->doc_len, record->metadata_len)};
}

static int compare_records(const void *a, const void *b, void *arg)
{
    const struct record *x = *(struct record *const *)a, *y = *(struct record *const *)b;
    const struct sorter *sorter = arg;
    int order = sort_spec_compare_keys(sorter->spec, x->keys, y->keys);

    return order ? order : (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static bool is_after(struct sorter *sorter, size_t a, size_t b)
{
    return compare_records(&sorter->records[a], &sorter->records[b], sorter) > 0;
}

static void swap(struct sorter *sorter, size_t a, size_t b)
{
    struct record *record = sorter->records[a];

    sorter->records[a] = sorter->records[b];
    sorter->records[b] = record;
}

static void sift_up(struct sorter *sorter, size_t at)
{
    for (; at > 0 && is_after(sorter, at, (at - 1) / 2); at = (at - 1) / 2)
        swap(sorter, at, (at - 1) / 2);
}

static void sift_down(struct sorter *sorter, size_t at)
{
    for (;;) {
        size_t last = at;

        for (size_t kid = 2 * at + 1; kid <= 2 * at + 2 && kid < sorter->count; kid++)
            if (is_after(sorter, kid, last))
                last = kid;
        if (last == at)
            return;
        swap(sorter, at, last);
        at = last;
    }
}

static void drop_last(struct sorter *sorter)
{
    forget(sorter, sorter->records[0]);
    sorter->records[0] = sorter->records[--sorter->count];
    sift_down(sorter, 0);
}

static void sort_records(struct sorter *sorter)
{
    if (sorter->count)
        qsort_r(sorter->records, sorter->count, sizeof *sorter->records, compare_records, sorter);
}

/* --- runs ------------------------------------------------------------------------------------- */

static enum nx_code advance(struct sorter *sorter, struct head *head, struct nx_err *err)
{
    enum nx_code rc = sort_run_read(head->run, &head->item, err);

    head->done = rc == NX_DONE;
    if (rc == NX_OK)
        rc = sort_spec_keys(sorter->spec, head->item.doc, head->item.metadata, head->keys, err);
    return rc == NX_DONE ? NX_OK : rc;
}

static struct head *first_head(struct sorter *sorter)
{
    struct head *first = NULL;

    for (unsigned i = 0; i < sorter->run_count; i++) {
        struct head *head = &sorter->runs[i];
        int order;

        if (head->done)
            continue;
        order = first ? sort_spec_compare_keys(sorter->spec, head->keys, first->keys) : -1;
        if (order < 0 || (order == 0 && head->item.sequence < first->item.sequence))
            first = head;
    }
    return first;
}

static enum nx_code start_runs(struct sorter *sorter, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    for (unsigned i = 0; rc == NX_OK && i < sorter->run_count; i++) {
        rc = sort_run_rewind(sorter->runs[i].run, err);
        if (rc == NX_OK)
            rc = advance(sorter, &sorter->runs[i], err);
    }
    return rc;
}

static void close_runs(struct sorter *sorter)
{
    for (unsigned i = 0; i < sorter->run_count; i++) {
        sort_run_close(sorter->runs[i].run);
        free(sorter->runs[i].keys);
    }
    sorter->run_count = 0;
}

static enum nx_code add_run(struct sorter *sorter, struct sort_run *run, struct nx_err *err)
{
    struct head *head = &sorter->runs[sorter->run_count];

    *head = (struct head){.run = run, .keys = calloc(1, key_bytes(sorter) + 1)};
    sorter->run_count++; /* from here on close_runs closes it */
    return head->keys ? NX_OK : nx_fail_nomem(err);
}

/* All runs into one, so that their number stays bounded. */
static enum nx_code merge_runs(struct sorter *sorter, struct nx_err *err)
{
    struct sort_run *merged;
    struct head *head;
    uint64_t written = 0;
    enum nx_code rc = start_runs(sorter, err);

    if (rc != NX_OK)
        return rc;
    rc = sort_run_new(sorter->budget->io, sorter->spill_dir, &merged, err);
    if (rc != NX_OK)
        return rc;
    while (rc == NX_OK && (head = first_head(sorter)) &&
           (sorter->limit == 0 || written++ < sorter->limit)) {
        rc = sort_run_write(merged, &head->item, err);
        if (rc == NX_OK)
            rc = advance(sorter, head, err);
        if (rc == NX_OK)
            rc = budget_tick(sorter->budget, err);
    }
    if (rc != NX_OK) {
        sort_run_close(merged);
        return rc;
    }
    close_runs(sorter);
    return add_run(sorter, merged, err);
}

static enum nx_code write_records(struct sorter *sorter, struct sort_run *run, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    sort_records(sorter);
    for (size_t i = 0; rc == NX_OK && i < sorter->count; i++) {
        struct sort_item item = item_of(sorter, sorter->records[i]);

        rc = sort_run_write(run, &item, err);
    }
    return rc;
}

static enum nx_code spill(struct sorter *sorter, struct nx_err *err)
{
    struct sort_run *run;
    enum nx_code rc = NX_OK;

    if (sorter->run_count == MAX_RUNS)
        rc = merge_runs(sorter, err);
    if (rc == NX_OK)
        rc = sort_run_new(sorter->budget->io, sorter->spill_dir, &run, err);
    if (rc != NX_OK)
        return rc;
    rc = write_records(sorter, run, err);
    if (rc != NX_OK) {
        sort_run_close(run);
        return rc;
    }
    for (size_t i = 0; i < sorter->count; i++)
        forget(sorter, sorter->records[i]);
    sorter->count = 0;
    sorter->spilled++;
    return add_run(sorter, run, err);
}

/* --- adding ----------------------------------------------------------------------------------- */

static enum nx_code take_bytes(struct sorter *sorter, size_t size, struct nx_err *err)
{
    uint64_t half = sorter->budget->limits.memory_bytes / 2; /* the other is for other stages */
    bool enough = sorter->spill_dir && sorter->count && sorter->taken_bytes + size > half;
    enum nx_code rc;

    if (enough || !budget_take(sorter->budget, size)) {
        if (!sorter->spill_dir || sorter->count == 0)
            return budget_fail(sorter->budget, "the sort", err);
        rc = spill(sorter, err);
        if (rc != NX_OK)
            return rc;
        if (!budget_take(sorter->budget, size))
            return budget_fail(sorter->budget, "the sort", err);
    }
    sorter->taken_bytes += size;
    return NX_OK;
}

static bool points_into(const struct nx_value *value, struct nx_slice bytes)
{
    switch (value->type) {
    case NX_TYPE_STRING:
    case NX_TYPE_DOCUMENT:
    case NX_TYPE_ARRAY:
    case NX_TYPE_BINARY:
    case NX_TYPE_OBJECTID:
    case NX_TYPE_REGEX:
    case NX_TYPE_DBPOINTER:
    case NX_TYPE_CODE:
    case NX_TYPE_SYMBOL:
    case NX_TYPE_CODEWSCOPE:
    case NX_TYPE_DECIMAL128:
        return value->data >= bytes.data && value->data <= bytes.data + bytes.len;
    default:
        return false;
    }
}

/* I1 */
static void rebase(struct nx_value *key, struct nx_slice doc, struct nx_slice metadata,
                   const uint8_t *copy)
{
    if (points_into(key, doc))
        key->data = copy + (key->data - doc.data);
    else if (points_into(key, metadata))
        key->data = copy + doc.len + (key->data - metadata.data);
}

static enum nx_code append(struct sorter *sorter, struct record *record, struct nx_err *err)
{
    if (sorter->count == sorter->cap) {
        size_t cap = sorter->cap ? 2 * sorter->cap : 64;
        struct record **records = realloc(sorter->records, cap * sizeof *records);

        if (!records)
            return nx_fail_nomem(err);
        sorter->records = records;
        sorter->cap = cap;
    }
    sorter->records[sorter->count++] = record;
    return NX_OK;
}

static enum nx_code keep(struct sorter *sorter, const struct sort_item *item,
                         const struct nx_value *keys, struct nx_err *err)
{
    size_t size = record_size(sorter, item->doc.len, item->metadata.len);
    struct record *record;
    uint8_t *bytes;
    enum nx_code rc = take_bytes(sorter, size, err);

    if (rc != NX_OK)
        return rc;
    record = malloc(size);
    if (!record) {
        budget_give(sorter->budget, size);
        sorter->taken_bytes -= size;
        return nx_fail_nomem(err);
    }
    record->sequence = item->sequence;
    record->doc_len = (uint32_t)item->doc.len;
    record->metadata_len = (uint32_t)item->metadata.len;
    bytes = record_bytes(sorter, record);
    memcpy(bytes, item->doc.data, item->doc.len);
    if (item->metadata.len)
        memcpy(bytes + item->doc.len, item->metadata.data, item->metadata.len);
    for (unsigned i = 0; i < sort_spec_fields(sorter->spec); i++) {
        record->keys[i] = keys[i];
        rebase(&record->keys[i], item->doc, item->metadata, bytes);
    }
    rc = append(sorter, record, err);
    if (rc != NX_OK)
        forget(sorter, record);
    else if (sorter->limit)
        sift_up(sorter, sorter->count - 1);
    return rc;
}

enum nx_code sorter_add_with(struct sorter *sorter, struct nx_slice doc, struct nx_slice metadata,
                             struct nx_err *err)
{
    struct sort_item item = {sorter->sequence++, doc, metadata};
    struct nx_value keys[SORT_MAX_FIELDS];
    enum nx_code rc = sort_spec_keys(sorter->spec, doc, metadata, keys, err);

    if (rc != NX_OK)
        return rc;
    if (sorter->limit && sorter->count == sorter->limit) {
        if (sort_spec_compare_keys(sorter->spec, keys, sorter->records[0]->keys) >= 0)
            return NX_OK; /* after the last of the first `limit` */
        drop_last(sorter);
    }
    return keep(sorter, &item, keys, err);
}

enum nx_code sorter_add(struct sorter *sorter, struct nx_slice doc, struct nx_err *err)
{
    return sorter_add_with(sorter, doc, NX_SLICE_NULL, err);
}

/* --- reading ---------------------------------------------------------------------------------- */

static enum nx_code start_reading(struct sorter *sorter, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    sorter->reading = true;
    if (sorter->run_count == 0) {
        sort_records(sorter);
        return NX_OK;
    }
    if (sorter->count)
        rc = spill(sorter, err);
    return rc == NX_OK ? start_runs(sorter, err) : rc;
}

static enum nx_code next_of_memory(struct sorter *sorter, struct nx_slice *doc)
{
    struct sort_item item;

    if (sorter->given == sorter->count)
        return NX_DONE;
    item = item_of(sorter, sorter->records[sorter->given++]);
    *doc = item.doc;
    sorter->metadata = item.metadata;
    return NX_OK;
}

static enum nx_code next_of_runs(struct sorter *sorter, struct nx_slice *doc, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    if (sorter->limit && sorter->given == sorter->limit)
        return NX_DONE;
    if (sorter->last)
        rc = advance(sorter, sorter->last, err);
    if (rc != NX_OK)
        return rc;
    sorter->last = first_head(sorter);
    if (!sorter->last)
        return NX_DONE;
    *doc = sorter->last->item.doc;
    sorter->metadata = sorter->last->item.metadata;
    sorter->given++;
    return NX_OK;
}

enum nx_code sorter_next(struct sorter *sorter, struct nx_slice *doc, struct nx_err *err)
{
    enum nx_code rc = sorter->reading ? NX_OK : start_reading(sorter, err);

    *doc = NX_SLICE_NULL;
    sorter->metadata = NX_SLICE_NULL;
    if (rc != NX_OK)
        return rc;
    return sorter->run_count ? next_of_runs(sorter, doc, err) : next_of_memory(sorter, doc);
}

struct nx_slice sorter_metadata(const struct sorter *sorter)
{
    return sorter->metadata;
}

uint64_t sorter_spilled_runs(const struct sorter *sorter)
{
    return sorter->spilled;
}

void sorter_free(struct sorter *sorter)
{
    if (!sorter)
        return;
    for (size_t i = 0; i < sorter->count; i++)
        free(sorter->records[i]);
    budget_give(sorter->budget, sorter->taken_bytes);
    close_runs(sorter);
    free(sorter->records);
    free(sorter->spill_dir);
    free(sorter);
}
