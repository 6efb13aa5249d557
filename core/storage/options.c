/*
 * options.c - the options by name: their bounds, and which of them an open engine can change.
 */
#include <string.h>

#include "storage/engine.h"
#include "storage/wal_ring.h"

static void resize_cache(struct nx_engine *engine, uint64_t value)
{
    cache_set_limit(engine->cache, value);
}

/* The new interval begins now. */
static void wake_sync(struct nx_engine *engine, uint64_t value)
{
    (void)value;
    engine_wake_sync(engine);
}

/* Levels may be too full by the new goals. */
static void wake_compaction(struct nx_engine *engine, uint64_t value)
{
    (void)value;
    nx_mutex_lock(&engine->state_mu);
    engine->table_changes++;
    nx_mutex_unlock(&engine->state_mu);
    engine_wake_compaction(engine);
}

static void nothing_more(struct nx_engine *engine, uint64_t value)
{
    (void)engine, (void)value;
}

struct option {
    const char *name;
    size_t offset, size; /* in struct nx_engine_options: of a uint64_t, or of 32 bits */
    uint64_t least, most;
    bool may_be_zero;
    bool is_of_compaction;                                     /* read by it with compact_mu held */
    void (*changed)(struct nx_engine *engine, uint64_t value); /* NULL: only at the open */
};

#define FIELD(name)                                                                                \
#name, offsetof(struct nx_engine_options, name), sizeof(((struct nx_engine_options *)0)->name)
static const struct option table[] = {
    {FIELD(memtable_bytes), 64 << 10, UINT64_C(4) << 30, false, false, nothing_more},
    {FIELD(cache_bytes), 0, UINT64_C(1) << 40, false, false, resize_cache},
    {FIELD(wal_segment_bytes), 64 << 10, 1 << 30, false, false, NULL},
    {FIELD(wal_ring_bytes), RING_MIN_BYTES, RING_MAX_BYTES, true, false, NULL},
    {FIELD(block_bytes), 256, 1 << 20, false, false, nothing_more},
    {FIELD(table_bytes), 64 << 10, 1 << 30, false, true, wake_compaction},
    {FIELD(bloom_bits_per_key), 0, 32, false, false, nothing_more},
    {FIELD(level_fanout), 2, 20, false, true, wake_compaction},
    {FIELD(sync_interval_ms), 1, 60000, false, false, wake_sync},
    {FIELD(compression), NX_COMPRESS_NONE, NX_COMPRESS_ZSTD, false, true, nothing_more},
    {FIELD(bottom_compression), NX_COMPRESS_NONE, NX_COMPRESS_ZSTD, false, true, nothing_more},
};
#undef FIELD

enum { OPTIONS = sizeof table / sizeof table[0] };

static const struct option *find(const char *name)
{
    for (size_t i = 0; i < OPTIONS; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

static uint64_t read_field(const struct nx_engine_options *options, const struct option *option)
{
    const char *at = (const char *)options + option->offset;
    uint64_t wide;
    uint32_t narrow;

    if (option->size == sizeof wide) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at, sizeof narrow);
    return narrow;
}

static void write_field(struct nx_engine_options *options, const struct option *option,
                        uint64_t value)
{
    char *at = (char *)options + option->offset;
    uint32_t narrow = (uint32_t)value; /* within its bounds */

    if (option->size == sizeof value)
        memcpy(at, &value, sizeof value);
    else
        memcpy(at, &narrow, sizeof narrow);
}

static enum nx_code check_value(const struct option *option, uint64_t value, uint64_t most,
                                struct nx_err *err)
{
    if ((value >= option->least && value <= most) || (value == 0 && option->may_be_zero))
        return NX_OK;
    return nx_fail(err, NX_EINVAL, "option %s is %llu, allowed are %s%llu to %llu", option->name,
                   (unsigned long long)value, option->may_be_zero ? "0 and " : "",
                   (unsigned long long)option->least, (unsigned long long)most);
}

enum nx_code engine_check_options(const struct nx_engine_options *options, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    for (size_t i = 0; i < OPTIONS && rc == NX_OK; i++)
        rc = check_value(&table[i], read_field(options, &table[i]), table[i].most, err);
    return rc;
}

/* With every lock under which the option is read. */
static void store(struct nx_engine *engine, const struct option *option, uint64_t value)
{
    nx_mutex_lock(&engine->commit_mu);
    nx_mutex_lock(&engine->sync_mu);
    nx_mutex_lock(&engine->state_mu);
    write_field(&engine->options, option, value);
    nx_mutex_unlock(&engine->state_mu);
    nx_mutex_unlock(&engine->sync_mu);
    nx_mutex_unlock(&engine->commit_mu);
}

enum nx_code nx_engine_set_option(struct nx_engine *engine, const char *name, uint64_t value,
                                  struct nx_err *err)
{
    const struct option *option = find(name);
    uint64_t most;
    enum nx_code rc;

    if (!option)
        return nx_fail(err, NX_ENOTFOUND, "there is no option '%s'", name);
    if (!option->changed)
        return nx_fail(err, NX_EUNSUPPORTED, "option %s cannot change while the engine is open",
                       option->name);
    /* The reserve for a full disk was made for memtables of this size. */
    most = strcmp(name, "memtable_bytes") == 0 ? engine->most_memtable_bytes : option->most;
    rc = check_value(option, value, most, err);
    if (rc != NX_OK)
        return rc;
    if (option->is_of_compaction) {
        nx_mutex_lock(&engine->compact_mu);
        store(engine, option, value);
        nx_mutex_unlock(&engine->compact_mu);
    } else {
        store(engine, option, value);
    }
    option->changed(engine, value);
    return NX_OK;
}

enum nx_code nx_engine_get_option(struct nx_engine *engine, const char *name, uint64_t *out,
                                  struct nx_err *err)
{
    const struct option *option = find(name);

    *out = 0;
    if (!option)
        return nx_fail(err, NX_ENOTFOUND, "there is no option '%s'", name);
    nx_mutex_lock(&engine->state_mu);
    *out = read_field(&engine->options, option);
    nx_mutex_unlock(&engine->state_mu);
    return NX_OK;
}

const char *nx_engine_option_name(size_t i)
{
    return i < OPTIONS ? table[i].name : NULL;
}
