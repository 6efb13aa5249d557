/* trash.c - dropping a directory and emptying it afterwards.
 *
 *   live --nx_db_drop--> dropped (NODE_DROPPED, KEY_TRASH) --empty_one--> gone
 *
 * A drop marks the directory and those below it in one batch; from then on no change gets into them
 * (tx_dir fails), so that emptying them needs no lock but that of each plain file, which may have
 * names elsewhere. Every step leaves a state that the next open goes on from. */
#include "store/file.h"
#include "store/tree.h"

/* Documents a batch. */
#define STEP_COUNT 1000u
#define RETRY_MS 1000u

void trash_init(struct trash *trash)
{
    *trash = (struct trash){.thread = NULL};
    nx_mutex_init(&trash->mu, NX_RANK_STORE_COUNTER);
    nx_cond_init(&trash->changed);
}

void trash_fini(struct trash *trash)
{
    nx_cond_fini(&trash->changed);
    nx_mutex_fini(&trash->mu);
}

/* --- drop ------------------------------------------------------------------------------------- */

static enum nx_code mark_dropped(struct tx *tx, nx_ino ino, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct node node;
    enum nx_code rc = store_node(tx->db, NULL, ino, &buf, &node, err);

    if (rc != NX_OK)
        return rc;
    tx_change_directory(tx, NX_KIND_FILE, ino, &node);
    node.flags |= NODE_DROPPED;
    tx_put_node(tx, ino, &node);
    tx_put_mark(tx, KEY_TRASH, ino);
    return NX_OK;
}

static enum nx_code mark_nested(void *arg, struct tx *tx, nx_ino dir, struct nx_slice name,
                                const struct entry *entry, bool *descend, struct nx_err *err)
{
    (void)arg, (void)dir, (void)name;
    if (entry->kind != NX_KIND_COLLECTION && entry->kind != NX_KIND_DIRECTORY)
        return NX_OK;
    *descend = true;
    return mark_dropped(tx, entry->ino, err);
}

static enum nx_code cut_off(struct tx *tx, nx_ino ino, const struct node *node, struct nx_err *err)
{
    struct entry entry;
    struct tx_dir *parent;
    enum nx_code rc = tx_dir(tx, node->parent, &parent, err);

    if (rc == NX_OK)
        rc = store_entry(tx->db, NULL, node->parent, node->label, &entry, err);
    if (rc != NX_OK)
        return rc;
    tx_delete_entry(tx, node->parent, node->label, entry.number);
    parent->counters.entries--;
    parent->counters.subdirectories--;
    tx_touch(tx, parent);
    rc = mark_dropped(tx, ino, err);
    if (rc == NX_OK)
        rc = tree_walk(tx, ino, true, mark_nested, NULL, err);
    tx_event(tx, NX_EVENT_DROP, node->kind, ino, node->parent, node->label);
    return rc;
}

enum nx_code nx_db_drop(struct nx_db *db, nx_ino ino, const struct nx_change *change,
                        struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct counters counters;
    struct node node;
    struct tx *tx;
    enum nx_code rc;

    if (ino == NX_ROOT_INO)
        return nx_fail(err, NX_EPERM, "the root cannot be dropped");
    rc = tx_begin(db, change, true, &tx, err);
    if (rc != NX_OK)
        return rc;
    nx_batch_mark_reclaiming(tx->batch);
    rc = store_directory(db, NULL, ino, &buf, &node, err);
    if (rc == NX_OK)
        rc = store_counters(db, NULL, ino, &counters, err);
    if (rc == NX_OK) {
        tx_lock(tx,
                counters.subdirectories ? STRIPES_ALL : stripe_of(ino) | stripe_of(node.parent));
        atomic_store_explicit(&db->trash.ever, true, memory_order_release);
        rc = cut_off(tx, ino, &node, err);
    }
    rc = tx_finish(tx, rc, err);
    if (rc == NX_OK)
        trash_wake(&db->trash);
    return rc;
}

/* --- emptying one directory ------------------------------------------------------------------- */

static enum nx_code add_document(struct nx_db *db, struct nx_batch *batch, struct nx_iter *iter,
                                 struct nx_err *err)
{
    struct doc_header header;
    struct nx_slice body;
    struct key key;
    enum nx_code rc;

    if (!doc_header_decode(nx_iter_value(iter), &header, &body))
        return nx_fail(err, NX_ECORRUPT, "a dropped document cannot be read");
    key_of(&key, KEY_NODE, header.ino);
    rc = nx_batch_delete(batch, key_slice(&key));
    if (rc == NX_OK && atomic_load_explicit(&db->xattrs, memory_order_acquire)) {
        key_of(&key, KEY_XATTR, header.ino);
        rc = nx_batch_delete(batch, key_slice(&key));
    }
    return rc == NX_OK ? NX_OK : nx_fail_nomem(err);
}

/* Delete the nodes of the next documents, and the documents up to there. NX_DONE after the last. */
static enum nx_code add_step(struct nx_db *db, struct nx_batch *batch, struct nx_iter *iter,
                             nx_ino dir, struct nx_err *err)
{
    struct key begin, end;
    enum nx_code rc = NX_OK;
    bool more = nx_iter_valid(iter);

    key_of(&begin, KEY_DOCUMENT, dir);
    key_of(&end, KEY_DOCUMENT, dir + 1);
    for (unsigned i = 0; more && i < STEP_COUNT && rc == NX_OK; i++) {
        rc = add_document(db, batch, iter, err);
        more = nx_iter_next(iter);
    }
    if (rc == NX_OK)
        rc = nx_iter_status(iter, err);
    if (rc != NX_OK)
        return rc;
    if (more) {
        struct nx_slice key = nx_iter_key(iter);

        memcpy(end.data, key.data, key.len);
        end.len = key.len;
    }
    if (nx_batch_delete_range(batch, key_slice(&begin), key_slice(&end)) != NX_OK)
        return nx_fail_nomem(err);
    return more ? NX_OK : NX_DONE;
}

static enum nx_code empty_documents(struct nx_db *db, struct nx_iter *iter, struct nx_batch *batch,
                                    nx_ino dir, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    nx_iter_first(iter);
    while (rc == NX_OK && !atomic_load_explicit(&db->trash.stop, memory_order_relaxed)) {
        enum nx_code committed;

        nx_batch_clear(batch);
        nx_batch_mark_reclaiming(batch);
        rc = add_step(db, batch, iter, dir, err);
        if (rc != NX_OK && rc != NX_DONE)
            return rc;
        committed = nx_engine_commit(db->engine, batch, NX_BUFFERED, err);
        if (committed != NX_OK)
            return committed;
    }
    return rc == NX_DONE ? NX_OK : rc;
}

static enum nx_code open_range(struct nx_db *db, enum key_kind kind, nx_ino dir,
                               struct nx_iter **out, struct nx_err *err)
{
    struct nx_range range = {.keep_cache = false};
    struct key lower, upper;

    key_of(&lower, kind, dir);
    key_of(&upper, kind, dir + 1);
    range.lower = key_slice(&lower);
    range.upper = key_slice(&upper);
    return nx_iter_open(db->engine, &range, out, err);
}

static enum nx_code remove_documents(struct nx_db *db, nx_ino dir, struct nx_err *err)
{
    struct nx_batch *batch;
    struct nx_iter *iter;
    enum nx_code rc = open_range(db, KEY_DOCUMENT, dir, &iter, err);

    if (rc != NX_OK)
        return rc;
    if (nx_batch_new(&batch) == NX_OK) {
        rc = empty_documents(db, iter, batch, dir, err);
        nx_batch_free(batch);
    } else {
        rc = nx_fail_nomem(err);
    }
    nx_iter_close(iter);
    return rc;
}

/* One name less of a plain file; its entry goes with it, so that a crash does not count it twice.
 */
static enum nx_code remove_entry(struct nx_db *db, nx_ino dir, struct nx_slice name,
                                 const struct entry *entry, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct node node;
    struct tx *tx;
    enum nx_code rc = tx_begin(db, NULL, false, &tx, err);

    if (rc != NX_OK)
        return rc;
    nx_batch_mark_reclaiming(tx->batch);
    tx_lock(tx, stripe_of(entry->ino));
    rc = store_node(db, NULL, entry->ino, &buf, &node, err);
    if (rc == NX_OK && !node_is_directory(&node))
        file_unlink(tx, entry->ino, &node);
    tx_delete_entry(tx, dir, name, entry->number);
    /* a directory in the trash is not found: it has its own mark there */
    return tx_finish(tx, rc == NX_ENOTFOUND ? NX_OK : rc, err);
}

static enum nx_code remove_entries(struct nx_db *db, nx_ino dir, struct nx_err *err)
{
    struct nx_iter *iter;
    enum nx_code rc = open_range(db, KEY_LISTING, dir, &iter, err);

    if (rc != NX_OK)
        return rc;
    for (bool ok = nx_iter_first(iter); ok && rc == NX_OK; ok = nx_iter_next(iter)) {
        struct nx_slice key = nx_iter_key(iter), name;
        struct entry entry;

        if (atomic_load_explicit(&db->trash.stop, memory_order_relaxed))
            break;
        if (key.len != 17 || !listing_decode(nx_iter_value(iter), &entry, &name)) {
            rc = nx_fail(err, NX_ECORRUPT, "an entry of a dropped directory cannot be read");
            break;
        }
        entry.number = key_number(nx_slice(key.data + 9, 8));
        rc = remove_entry(db, dir, name, &entry, err);
    }
    if (rc == NX_OK)
        rc = nx_iter_status(iter, err);
    nx_iter_close(iter);
    return rc;
}

static enum nx_code give_space_back(struct nx_db *db, nx_ino dir, struct nx_err *err)
{
    static const enum key_kind kinds[] = {KEY_DOCUMENT, KEY_BODY};
    enum nx_code rc = NX_OK;

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && rc == NX_OK; i++) {
        struct key begin, end;

        key_of(&begin, kinds[i], dir);
        key_of(&end, kinds[i], dir + 1);
        rc = nx_engine_reclaim(db->engine, key_slice(&begin), key_slice(&end), err);
    }
    return rc;
}

static enum nx_code empty_one(struct nx_db *db, nx_ino dir, struct nx_err *err)
{
    struct tx *tx;
    enum nx_code rc = remove_documents(db, dir, err);

    if (rc == NX_OK)
        rc = remove_entries(db, dir, err);
    if (rc != NX_OK || atomic_load_explicit(&db->trash.stop, memory_order_relaxed))
        return rc;
    rc = tx_begin(db, NULL, false, &tx, err);
    if (rc != NX_OK)
        return rc;
    nx_batch_mark_reclaiming(tx->batch);
    tx_lock(tx, stripe_of(dir));
    tx_delete_all(tx, KEY_BODY, dir);
    tx_delete_node(tx, dir);
    tx_delete(tx, KEY_COUNTERS, dir);
    tx_delete(tx, KEY_TRASH, dir);
    rc = tx_finish(tx, NX_OK, err);
    return rc == NX_OK ? give_space_back(db, dir, err) : rc;
}

/* --- all of them ------------------------------------------------------------------------------ */

/* The first number of a kind at or after `from`. NX_DONE. */
static enum nx_code next_number(struct nx_db *db, enum key_kind kind, uint64_t from, uint64_t *out,
                                struct nx_err *err)
{
    struct nx_range range = {.keep_cache = true};
    struct key lower, upper;
    struct nx_slice tail;
    struct nx_iter *iter;
    enum nx_code rc;

    key_of(&lower, kind, from);
    key_of_kind(&upper, kind + 1u);
    range.lower = key_slice(&lower);
    range.upper = key_slice(&upper);
    rc = nx_iter_open(db->engine, &range, &iter, err);
    if (rc != NX_OK)
        return rc;
    if (!nx_iter_first(iter)) {
        rc = nx_iter_status(iter, err);
        rc = rc == NX_OK ? NX_DONE : rc;
    } else if (!key_split(nx_iter_key(iter), out, &tail)) {
        rc = store_corrupt(err, &lower, "trash");
    }
    nx_iter_close(iter);
    return rc;
}

enum nx_code trash_empty(struct nx_db *db, struct nx_err *err)
{
    uint64_t dir;
    enum nx_code rc = NX_OK;

    while (rc == NX_OK && !atomic_load_explicit(&db->trash.stop, memory_order_relaxed)) {
        rc = next_number(db, KEY_TRASH, 0, &dir, err);
        if (rc == NX_OK)
            rc = empty_one(db, dir, err);
    }
    return rc == NX_DONE ? NX_OK : rc;
}

/* --- the thread ------------------------------------------------------------------------------- */

static void run(void *arg)
{
    struct nx_db *db = arg;
    struct trash *trash = &db->trash;

    nx_mutex_lock(&trash->mu);
    while (!trash->stop) {
        enum nx_code rc;

        if (!trash->wanted) {
            trash->idle = true;
            nx_cond_broadcast(&trash->changed);
            nx_cond_wait(&trash->changed, &trash->mu);
            continue;
        }
        trash->wanted = trash->idle = false;
        nx_mutex_unlock(&trash->mu);
        rc = trash_empty(db, NULL);
        nx_mutex_lock(&trash->mu);
        if (rc != NX_OK && !trash->stop) { /* a full disk may have room later */
            trash->idle = true;
            nx_cond_broadcast(&trash->changed);
            nx_cond_wait_ms(&trash->changed, &trash->mu, RETRY_MS);
            trash->wanted = true;
        }
    }
    trash->idle = true;
    nx_cond_broadcast(&trash->changed);
    nx_mutex_unlock(&trash->mu);
}

enum nx_code trash_start(struct nx_db *db, struct nx_err *err)
{
    uint64_t dir;
    enum nx_code rc = next_number(db, KEY_TRASH, 0, &dir, err);

    if (rc != NX_OK && rc != NX_DONE)
        return rc;
    db->trash.wanted = rc == NX_OK;
    atomic_store_explicit(&db->trash.ever, rc == NX_OK, memory_order_release);
    return db->io->ops->thread_start(db->io, "nexadb-trash", run, db, &db->trash.thread, err);
}

void trash_stop(struct nx_db *db)
{
    struct trash *trash = &db->trash;

    if (!trash->thread)
        return;
    nx_mutex_lock(&trash->mu);
    atomic_store_explicit(&trash->stop, true, memory_order_relaxed);
    nx_cond_broadcast(&trash->changed);
    nx_mutex_unlock(&trash->mu);
    db->io->ops->thread_join(db->io, trash->thread);
    trash->thread = NULL;
}

void trash_wake(struct trash *trash)
{
    nx_mutex_lock(&trash->mu);
    trash->wanted = true;
    trash->idle = false;
    nx_cond_broadcast(&trash->changed);
    nx_mutex_unlock(&trash->mu);
}

void trash_wait(struct trash *trash)
{
    nx_mutex_lock(&trash->mu);
    while (trash->thread && !trash->idle)
        nx_cond_wait(&trash->changed, &trash->mu);
    nx_mutex_unlock(&trash->mu);
}

/* --- plain files without a name --------------------------------------------------------------- */

enum nx_code trash_orphan(struct nx_db *db, uint64_t ino, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct node node;
    struct tx *tx;
    enum nx_code rc = tx_begin(db, NULL, false, &tx, err);

    if (rc != NX_OK)
        return rc;
    nx_batch_mark_reclaiming(tx->batch);
    tx_lock(tx, stripe_of(ino));
    rc = store_node(db, NULL, ino, &buf, &node, err);
    if (rc == NX_OK && !node_is_directory(&node) && node.kind != NX_KIND_DOCUMENT &&
        node.nlink == 0) {
        file_remove(tx, ino, &node);
        tx_delete(tx, KEY_ORPHAN, ino);
    }
    return tx_finish(tx, rc == NX_ENOTFOUND ? NX_OK : rc, err);
}

enum nx_code trash_orphans(struct nx_db *db, struct nx_err *err)
{
    uint64_t ino = 0;
    enum nx_code rc;

    while ((rc = next_number(db, KEY_ORPHAN, ino, &ino, err)) == NX_OK) {
        rc = trash_orphan(db, ino, err);
        if (rc != NX_OK)
            return rc;
        ino++;
    }
    return rc == NX_DONE ? NX_OK : rc;
}
