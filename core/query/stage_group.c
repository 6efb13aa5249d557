/*
 * stage_group.c - $group: a hash table of groups, each with the states of its accumulators.
 *
 * Past half of the memory limit no group is added: documents of groups that are not in the table go
 * to one of PARTITIONS spools by the hash of their key, in their order, and those are grouped one
 * by one, the same way, after the table has been given. The other half is room for the groups there
 * are, so a spool takes none of it: it is a file from its first document on.
 */
#include <stdlib.h>

#include "query/acc.h"
#include "query/pipeline.h"
#include "query/spool.h"
#include "query/stage_spec.h"

#define PARTITIONS 16
#define LEVELS_MAX 6
#define FIRST_BUCKETS 64

struct group_output {
    char *name; /* owned */
    size_t name_len;
    struct acc_spec *spec; /* owned */
};

struct group {
    struct nx_value key; /* owned: its bytes are behind the states */
    uint64_t hash;
    struct group *next_in_bucket;
    struct group *next; /* in the order they came */
    struct acc accs[];
};

/* Documents that wait for their turn, and how often they were put off. */
struct waiting {
    struct spool *spool; /* owned */
    unsigned level;
    struct waiting *next;
};

struct group_stage {
    struct stage stage;
    struct expr *id; /* owned */
    struct group_output *outputs;
    size_t output_count;

    struct group **buckets; /* owned */
    size_t bucket_count, group_count;
    struct group *first, *last;
    uint64_t taken; /* from the budget */
    bool frozen;    /* no group is added */
    struct spool *partitions[PARTITIONS];
    struct waiting *waiting;
    struct spool *reading; /* where documents come from, NULL: the source */
    unsigned level;
    bool filled;
};

/* --- parsing ---------------------------------------------------------------------------------- */

static enum nx_code parse_output(struct group_stage *group, const struct nx_doc_iter *field,
                                 struct nx_err *err)
{
    struct group_output *output = &group->outputs[group->output_count];
    struct nx_doc_iter iter;
    enum nx_code rc = spec_field_name("$group", field->key, field->key_len, err);

    if (rc != NX_OK)
        return rc;
    if (field->value.type != NX_TYPE_DOCUMENT || nx_doc_count(nx_value_slice(&field->value)) != 1)
        return nx_fail(err, NX_EQUERY,
                       "$group wants '%.100s' as an object with one accumulator: {\"$sum\": ...}",
                       field->key);
    nx_doc_iter_init(&iter, nx_value_slice(&field->value));
    nx_doc_iter_next(&iter);
    rc = acc_spec_parse(iter.key, iter.key_len, &iter.value, ACC_GROUP, group->stage.context->vars,
                        &output->spec, err);
    if (rc != NX_OK)
        return rc;
    group->output_count++;
    output->name = strndup(field->key, field->key_len);
    output->name_len = field->key_len;
    return output->name ? NX_OK : nx_fail_nomem(err);
}

static enum nx_code parse_group(struct stage *stage, const struct nx_value *spec,
                                struct nx_err *err)
{
    struct group_stage *group = (struct group_stage *)stage;
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    if (spec->type != NX_TYPE_DOCUMENT)
        return nx_fail(err, NX_EQUERY, "$group wants an object, not %s", nx_type_name(spec->type));
    group->outputs = calloc(nx_doc_count(nx_value_slice(spec)) + 1, sizeof *group->outputs);
    if (!group->outputs)
        return nx_fail_nomem(err);
    nx_doc_iter_init(&iter, nx_value_slice(spec));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        if (strcmp(iter.key, "_id") != 0)
            rc = parse_output(group, &iter, err);
        else if (!group->id)
            rc = expr_parse(&iter.value, stage->context->vars, &group->id, err);
    }
    if (rc == NX_OK && !group->id)
        return nx_fail(err, NX_EQUERY, "$group wants '_id': what to group by");
    return rc;
}

/* --- the table -------------------------------------------------------------------------------- */

static void free_group(struct group_stage *stage, struct group *group)
{
    for (size_t i = 0; i < stage->output_count; i++)
        acc_fini(&group->accs[i]);
    free(group);
}

static void empty_table(struct group_stage *stage)
{
    while (stage->first) {
        struct group *next = stage->first->next;

        free_group(stage, stage->first);
        stage->first = next;
    }
    free(stage->buckets);
    stage->buckets = NULL;
    stage->last = NULL;
    stage->bucket_count = stage->group_count = 0;
    stage->frozen = false;
    budget_give(&stage->stage.context->budget, stage->taken);
    stage->taken = 0;
}

static enum nx_code grow_table(struct group_stage *stage, struct nx_err *err)
{
    size_t count = stage->bucket_count ? stage->bucket_count * 2 : FIRST_BUCKETS;
    struct group **buckets = calloc(count, sizeof(struct group *));

    if (!buckets)
        return nx_fail_nomem(err);
    for (struct group *group = stage->first; group; group = group->next) {
        struct group **bucket = &buckets[group->hash & (count - 1)];

        group->next_in_bucket = *bucket;
        *bucket = group;
    }
    free(stage->buckets);
    stage->buckets = buckets;
    stage->bucket_count = count;
    return NX_OK;
}

static struct group *find_group(const struct group_stage *stage, const struct nx_value *key,
                                uint64_t hash)
{
    struct group *group =
        stage->bucket_count ? stage->buckets[hash & (stage->bucket_count - 1)] : NULL;

    while (group && (group->hash != hash || nx_value_compare(&group->key, key) != 0))
        group = group->next_in_bucket;
    return group;
}

static size_t group_bytes(const struct group_stage *stage, const struct nx_value *key)
{
    return sizeof(struct group) + stage->output_count * sizeof(struct acc) + value_borrowed(key) +
           1;
}

static enum nx_code add_group(struct group_stage *stage, const struct nx_value *key, uint64_t hash,
                              struct group **out, struct nx_err *err)
{
    size_t len = value_borrowed(key), bytes = group_bytes(stage, key);
    struct group *group;
    uint8_t *tail;
    enum nx_code rc = NX_OK;

    if (stage->group_count >= stage->bucket_count)
        rc = grow_table(stage, err);
    group = rc == NX_OK ? calloc(1, bytes) : NULL;
    if (!group)
        return rc == NX_OK ? nx_fail_nomem(err) : rc;
    tail = (uint8_t *)&group->accs[stage->output_count];
    group->key = *key;
    group->hash = hash;
    if (len || key->type == NX_TYPE_STRING) {
        memcpy(tail, key->data, len);
        group->key.data = tail;
    }
    for (size_t i = 0; i < stage->output_count; i++)
        acc_init(&group->accs[i], stage->outputs[i].spec);
    group->next_in_bucket = stage->buckets[hash & (stage->bucket_count - 1)];
    stage->buckets[hash & (stage->bucket_count - 1)] = group;
    *(stage->last ? &stage->last->next : &stage->first) = group;
    stage->last = group;
    stage->group_count++;
    *out = group;
    return NX_OK;
}

/* --- spilling --------------------------------------------------------------------------------- */

static enum nx_code put_off(struct group_stage *stage, uint64_t hash, struct nx_slice doc,
                            struct nx_err *err)
{
    struct pipeline_context *context = stage->stage.context;
    unsigned at = (unsigned)(hash >> (60 - 4 * stage->level)) % PARTITIONS;
    enum nx_code rc = NX_OK;

    if (!context->spill_dir || stage->level == LEVELS_MAX)
        return budget_fail(&context->budget, "$group", err);
    if (!stage->partitions[at])
        rc = spool_new(&context->budget, context->spill_dir, "$group", 0, &stage->partitions[at],
                       err);
    return rc == NX_OK ? spool_add(stage->partitions[at], doc, err) : rc;
}

/* The partitions written while this table was filled wait behind it. */
static enum nx_code queue_partitions(struct group_stage *stage, struct nx_err *err)
{
    for (unsigned i = 0; i < PARTITIONS; i++) {
        struct waiting *waiting;

        if (!stage->partitions[i])
            continue;
        waiting = malloc(sizeof *waiting);
        if (!waiting)
            return nx_fail_nomem(err);
        *waiting = (struct waiting){stage->partitions[i], stage->level + 1, stage->waiting};
        stage->waiting = waiting;
        stage->partitions[i] = NULL;
    }
    return NX_OK;
}

/* True when a spool took the source's place. */
static bool next_partition(struct group_stage *stage)
{
    struct waiting *waiting = stage->waiting;

    spool_free(stage->reading);
    stage->reading = NULL;
    if (!waiting)
        return false;
    stage->reading = waiting->spool;
    stage->level = waiting->level;
    stage->waiting = waiting->next;
    free(waiting);
    spool_rewind(stage->reading);
    return true;
}

/* --- running ---------------------------------------------------------------------------------- */

static enum nx_code account(struct group_stage *stage, size_t before, size_t after,
                            struct nx_err *err)
{
    struct budget *budget = &stage->stage.context->budget;

    if (after <= before) {
        budget_give(budget, before - after);
        stage->taken -= before - after;
        return NX_OK;
    }
    if (!budget_take(budget, after - before))
        return budget_fail(budget, "$group", err);
    stage->taken += after - before;
    if (stage->taken > budget->limits.memory_bytes / 2)
        stage->frozen = true;
    return NX_OK;
}

static size_t states_bytes(const struct group_stage *stage, const struct group *group)
{
    size_t bytes = 0;

    for (size_t i = 0; i < stage->output_count; i++)
        bytes += acc_bytes(&group->accs[i]);
    return bytes;
}

static enum nx_code add_document(struct group_stage *stage, struct nx_slice doc, struct nx_err *err)
{
    struct group *group;
    struct nx_value key;
    uint64_t hash;
    size_t before;
    enum nx_code rc = expr_eval(stage->id, &stage->stage.env, &key, err);

    if (rc != NX_OK)
        return rc;
    if (key.type == NX_TYPE_MISSING)
        key = NX_NULL;
    hash = nx_value_hash(&key, 0);
    group = find_group(stage, &key, hash);
    if (!group && stage->frozen)
        return put_off(stage, hash, doc, err);
    if (!group) {
        rc = account(stage, 0, group_bytes(stage, &key) + sizeof(struct group *), err);
        if (rc == NX_EBUDGET && stage->group_count) { /* other stages have the rest */
            stage->frozen = true;
            return put_off(stage, hash, doc, err);
        }
        if (rc == NX_OK)
            rc = add_group(stage, &key, hash, &group, err);
        if (rc != NX_OK)
            return rc;
    }
    before = states_bytes(stage, group);
    for (size_t i = 0; rc == NX_OK && i < stage->output_count; i++)
        rc = acc_add(&group->accs[i], &stage->stage.env, err);
    return rc == NX_OK ? account(stage, before, states_bytes(stage, group), err) : rc;
}

static enum nx_code read_one(struct group_stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    enum nx_code rc;

    if (!stage->reading)
        return stage_pull(&stage->stage, doc, err);
    rc = budget_tick(&stage->stage.context->budget, err);
    if (rc == NX_OK)
        rc = spool_next(stage->reading, doc, err);
    if (rc != NX_OK)
        return rc;
    arena_reset(&stage->stage.arena);
    stage_bind(&stage->stage, *doc, NX_SLICE_NULL);
    return NX_OK;
}

static enum nx_code fill_table(struct group_stage *stage, struct nx_err *err)
{
    struct nx_slice doc;
    enum nx_code rc;

    while ((rc = read_one(stage, &doc, err)) == NX_OK) {
        rc = add_document(stage, doc, err);
        if (rc != NX_OK)
            return rc;
    }
    return rc == NX_DONE ? queue_partitions(stage, err) : rc;
}

static enum nx_code give(struct group_stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    struct group *group = stage->first;
    struct nx_builder builder;
    enum nx_code rc = NX_OK;

    arena_reset(&stage->stage.arena);
    nx_buf_clear(&stage->stage.out);
    nx_builder_init(&builder, &stage->stage.out);
    nx_builder_put(&builder, "_id", 3, &group->key);
    for (size_t i = 0; rc == NX_OK && i < stage->output_count; i++) {
        struct nx_value value;

        rc = acc_result(&group->accs[i], &stage->stage.arena, &value, err);
        if (rc == NX_OK)
            nx_builder_put(&builder, stage->outputs[i].name, stage->outputs[i].name_len, &value);
    }
    if (rc == NX_OK)
        rc = nx_builder_end(&builder, err);
    stage->first = group->next;
    free_group(stage, group);
    *doc = nx_buf_slice(&stage->stage.out);
    return rc;
}

static enum nx_code next_group(struct stage *base, struct nx_slice *doc, struct nx_err *err)
{
    struct group_stage *stage = (struct group_stage *)base;

    while (!stage->first) {
        enum nx_code rc;

        if (stage->filled) {
            empty_table(stage);
            if (!next_partition(stage))
                return NX_DONE;
        }
        rc = fill_table(stage, err);
        if (rc != NX_OK)
            return rc;
        stage->filled = true;
        base->scores = NX_SLICE_NULL;
    }
    return give(stage, doc, err);
}

static void reset_group(struct stage *base)
{
    struct group_stage *stage = (struct group_stage *)base;

    empty_table(stage);
    while (next_partition(stage))
        ;
    for (unsigned i = 0; i < PARTITIONS; i++) {
        spool_free(stage->partitions[i]);
        stage->partitions[i] = NULL;
    }
    stage->level = 0;
    stage->filled = false;
}

static void close_group(struct stage *base)
{
    struct group_stage *stage = (struct group_stage *)base;

    reset_group(base);
    for (size_t i = 0; i < stage->output_count; i++) {
        free(stage->outputs[i].name);
        acc_spec_free(stage->outputs[i].spec);
    }
    free(stage->outputs);
    expr_free(stage->id);
}

const struct stage_class stage_group = {
    .name = "$group",
    .size = sizeof(struct group_stage),
    .parse = parse_group,
    .next = next_group,
    .reset = reset_group,
    .close = close_group,
    .help = "documents with the same key together, with accumulators over them",
};
