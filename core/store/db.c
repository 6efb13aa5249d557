/* db.c - opening and closing: the engine, the format, the root, the spill folder, the trash. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "store/meta.h"
#include "store/store.h"
#include "store/tx.h"
#include "store/xattr.h"

void nx_db_options_init(struct nx_db_options *options)
{
    *options = (struct nx_db_options){.owner_uid = getuid(),
                                      .owner_gid = getgid(),
                                      .feed_bytes = FEED_KEEP_BYTES,
                                      .feed_ms = FEED_KEEP_MS};
    nx_engine_options_init(&options->engine);
}

/* --- the format ------------------------------------------------------------------------------- */

static enum nx_code put_root(struct nx_db *db, struct nx_batch *batch)
{
    struct nx_buf value NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    int64_t now = (int64_t)db->io->ops->realtime_ns(db->io);
    struct node root = {.kind = NX_KIND_ROOT,
                        .mode = 0755,
                        .uid = db->owner_uid,
                        .gid = db->owner_gid,
                        .nlink = 2,
                        .mtime_ns = now,
                        .atime_ns = now,
                        .ctime_ns = now,
                        .parent = NX_ROOT_INO};
    struct counters counters = {.mtime_ns = now, .ctime_ns = now};
    struct key key;
    enum nx_code rc = node_encode(&root, &value);

    key_of(&key, KEY_NODE, NX_ROOT_INO);
    if (rc == NX_OK)
        rc = nx_batch_put(batch, key_slice(&key), nx_buf_slice(&value));
    nx_buf_clear(&value);
    key_of(&key, KEY_COUNTERS, NX_ROOT_INO);
    if (rc == NX_OK)
        rc = counters_encode(&counters, &value);
    return rc == NX_OK ? nx_batch_put(batch, key_slice(&key), nx_buf_slice(&value)) : rc;
}

static enum nx_code put_meta(struct nx_db *db, struct nx_batch *batch)
{
    uint8_t format[4], uuid[16], next[8];
    enum nx_code rc;

    put_u32le(format, STORE_FORMAT);
    put_u64le(next, NX_ROOT_INO + 1);
    db->io->ops->random(db->io, uuid, sizeof uuid);
    rc = nx_batch_put(batch, META_FORMAT, nx_slice(format, sizeof format));
    if (rc == NX_OK)
        rc = nx_batch_put(batch, META_UUID, nx_slice(uuid, sizeof uuid));
    return rc == NX_OK ? nx_batch_put(batch, META_NEXT, nx_slice(next, sizeof next)) : rc;
}

static enum nx_code make_format(struct nx_db *db, struct nx_err *err)
{
    struct nx_batch *batch;
    enum nx_code rc;

    if (db->read_only)
        return nx_fail(err, NX_ENOTFOUND, "the database is empty and open read-only");
    rc = nx_batch_new(&batch);
    if (rc != NX_OK)
        return nx_fail_nomem(err);
    rc = put_meta(db, batch);
    if (rc == NX_OK)
        rc = put_root(db, batch);
    rc = rc == NX_OK ? nx_engine_commit(db->engine, batch, NX_SYNC, err) : nx_fail_nomem(err);
    nx_batch_free(batch);
    return rc;
}

static enum nx_code check_format(const struct nx_buf *value, const char *dir, struct nx_err *err)
{
    if (value->len != 4)
        return nx_fail(err, NX_ECORRUPT, "'%s': the format record has %zu bytes, not 4", dir,
                       value->len);
    if (get_u32le(value->data) != STORE_FORMAT)
        return nx_fail(err, NX_EVERSION, "'%s' has store format %u; this program knows %u", dir,
                       get_u32le(value->data), STORE_FORMAT);
    return NX_OK;
}

static enum nx_code read_format(struct nx_db *db, const char *dir, struct nx_err *err)
{
    struct nx_buf value NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = nx_engine_get(db->engine, NULL, META_FORMAT, &value, err);

    if (rc == NX_ENOTFOUND)
        rc = make_format(db, err);
    else if (rc == NX_OK)
        rc = check_format(&value, dir, err);
    if (rc == NX_OK)
        rc = nx_engine_get(db->engine, NULL, META_NEXT, &value, err);
    if (rc == NX_OK && (value.len != 8 || get_u64le(value.data) >= NUMBER_LIMIT))
        rc = nx_fail(err, NX_ECORRUPT, "'%s': the record of the next number is damaged", dir);
    if (rc == NX_OK)
        numbers_init(&db->numbers, db->engine, get_u64le(value.data));
    return rc;
}

/* --- the spill folder ------------------------------------------------------------------------- */

struct spill_list {
    struct nx_buf names; /* NUL-terminated, one after the other */
    enum nx_code failed;
};

static void add_spill_name(void *arg, const char *name)
{
    struct spill_list *list = arg;

    if (list->failed == NX_OK && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
        list->failed = nx_buf_append(&list->names, name, strlen(name) + 1);
}

static enum nx_code remove_spilled(struct nx_db *db, const struct nx_buf *names, struct nx_err *err)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    for (size_t at = 0; at < names->len;) {
        const char *name = (const char *)names->data + at;
        enum nx_code rc;

        nx_buf_clear(&path);
        rc = nx_buf_printf(&path, "%s/%s", db->spill_dir, name);
        if (rc == NX_OK)
            rc = nx_buf_append_byte(&path, 0);
        if (rc != NX_OK)
            return nx_fail_nomem(err);
        rc = db->io->ops->remove(db->io, (const char *)path.data, err);
        if (rc != NX_OK && rc != NX_ENOTFOUND)
            return rc;
        at += strlen(name) + 1;
    }
    return NX_OK;
}

static enum nx_code clean_spill_dir(struct nx_db *db, const char *dir, struct nx_err *err)
{
    struct spill_list list = {.failed = NX_OK};
    size_t size = strlen(dir) + sizeof "/spill";
    enum nx_code rc;

    db->spill_dir = malloc(size);
    if (!db->spill_dir)
        return nx_fail_nomem(err);
    snprintf(db->spill_dir, size, "%s/spill", dir);
    if (db->read_only)
        return NX_OK;
    rc = db->io->ops->mkdir(db->io, db->spill_dir, err);
    if (rc != NX_OK && rc != NX_EEXISTS)
        return rc;
    rc = db->io->ops->list(db->io, db->spill_dir, add_spill_name, &list, err);
    if (rc == NX_OK && list.failed != NX_OK)
        rc = nx_fail_nomem(err);
    if (rc == NX_OK)
        rc = remove_spilled(db, &list.names, err);
    nx_buf_fini(&list.names);
    return rc;
}

/* --- open and close --------------------------------------------------------------------------- */

static struct nx_db *db_new(const struct nx_db_options *options)
{
    struct nx_db *db = calloc(1, sizeof *db);

    if (!db)
        return NULL;
    db->io = options->engine.io ? options->engine.io : nx_io_posix();
    db->read_only = options->engine.read_only;
    db->owner_uid = options->owner_uid;
    db->owner_gid = options->owner_gid;
    nx_mutex_init(&db->names, NX_RANK_STORE_NAMESPACE);
    nx_mutex_init(&db->idle_mu, NX_RANK_LEAF);
    stripes_init(&db->stripes);
    events_init(&db->events);
    pins_init(&db->pins);
    recent_init(&db->recent);
    trash_init(&db->trash);
    feed_init(&db->feed, options->feed_bytes, options->feed_ms);
    return db;
}

static void db_free(struct nx_db *db)
{
    tx_pool_fini(db);
    feed_fini(&db->feed);
    trash_fini(&db->trash);
    recent_fini(&db->recent);
    pins_fini(&db->pins);
    events_fini(&db->events);
    stripes_fini(&db->stripes);
    nx_mutex_fini(&db->idle_mu);
    nx_mutex_fini(&db->names);
    free(db->spill_dir);
    free(db);
}

/* With the engine open. */
static enum nx_code start(struct nx_db *db, const char *dir, struct nx_err *err)
{
    enum nx_code rc = read_format(db, dir, err);

    if (rc == NX_OK)
        rc = clean_spill_dir(db, dir, err);
    if (rc == NX_OK)
        rc = xattr_start(db, err);
    if (rc == NX_OK)
        rc = feed_load(db, err);
    if (rc != NX_OK || db->read_only)
        return rc;
    rc = trash_orphans(db, err);
    if (rc == NX_OK)
        rc = feed_start(db, err);
    if (rc == NX_OK)
        rc = trash_start(db, err);
    if (rc != NX_OK)
        feed_stop(db);
    return rc;
}

enum nx_code nx_db_open(const char *dir, const struct nx_db_options *options, struct nx_db **out,
                        struct nx_err *err)
{
    struct nx_db_options defaults;
    struct nx_db *db;
    enum nx_code rc;

    *out = NULL;
    if (!options) {
        nx_db_options_init(&defaults);
        options = &defaults;
    }
    db = db_new(options);
    if (!db)
        return nx_fail_nomem(err);
    rc = nx_engine_open(dir, &options->engine, &db->engine, err);
    if (rc == NX_OK)
        rc = start(db, dir, err);
    if (rc == NX_OK) {
        *out = db;
        return NX_OK;
    }
    if (db->engine)
        nx_engine_close(db->engine, NULL);
    db_free(db);
    return rc;
}

enum nx_code nx_db_close(struct nx_db *db, struct nx_err *err)
{
    enum nx_code rc;

    if (!db)
        return NX_OK;
    trash_stop(db);
    feed_stop(db);
    rc = nx_engine_close(db->engine, err);
    numbers_fini(&db->numbers);
    db_free(db);
    return rc;
}

struct nx_engine *nx_db_engine(struct nx_db *db)
{
    return db->engine;
}

struct nx_io *nx_db_io(struct nx_db *db)
{
    return db->io;
}

const char *nx_db_spill_dir(const struct nx_db *db)
{
    return db->spill_dir;
}
