/* feed.c - positions in flight, what is readable, who waits, and trimming.
 *
 * Trimming moves `start` first and deletes then: a reader that takes its picture and looks at
 * `start` afterwards has either all or is told that it came too late. The deleted range always
 * begins where the feed once began, so that there is one tombstone and not one for each time. */
#include "store/feed.h"

#include <inttypes.h>

#include "base/bytes.h"
#include "store/store.h"

/* A range deletion costs reads until it is compacted: not for less than this part of the whole. */
#define TRIM_SHARE 16u
#define TRIM_MS 60000u

void feed_init(struct feed *feed, uint64_t keep_bytes, uint64_t keep_ms)
{
    *feed = (struct feed){.next = 1, .start = 1, .keep_bytes = keep_bytes, .keep_ms = keep_ms};
    nx_mutex_init(&feed->mu, NX_RANK_STORE_COUNTER);
    nx_cond_init(&feed->wake);
}

void feed_fini(struct feed *feed)
{
    nx_cond_fini(&feed->wake);
    nx_mutex_fini(&feed->mu);
}

/* --- the first and the last row --------------------------------------------------------------- */

static enum nx_code open_rows(struct nx_db *db, const struct nx_snapshot *snapshot,
                              struct nx_iter **out, struct nx_err *err)
{
    struct nx_range range = {.snapshot = snapshot};
    struct key lower, upper;

    key_of_kind(&lower, KEY_CHANGES);
    key_of_kind(&upper, KEY_CHANGES + 1u);
    range.lower = key_slice(&lower);
    range.upper = key_slice(&upper);
    return nx_iter_open(db->engine, &range, out, err);
}

static enum nx_code read_row(struct nx_iter *iter, uint64_t *position, uint64_t *time_ms,
                             struct nx_err *err)
{
    struct nx_slice tail, value = nx_iter_value(iter);

    if (!key_split(nx_iter_key(iter), position, &tail) || tail.len || value.len < FEED_HEAD_BYTES)
        return nx_fail(err, NX_ECORRUPT, "a row of the change feed cannot be read");
    *time_ms = get_u64le(value.data);
    return NX_OK;
}

enum nx_code feed_load(struct nx_db *db, struct nx_err *err)
{
    struct feed *feed = &db->feed;
    uint64_t position, time_ms;
    struct nx_iter *iter;
    enum nx_code rc = open_rows(db, NULL, &iter, err);

    if (rc != NX_OK)
        return rc;
    if (nx_iter_last(iter)) {
        rc = read_row(iter, &position, &time_ms, err);
        if (rc == NX_OK)
            feed->next = position + FEED_KEY_BYTES + nx_iter_value(iter).len;
    } else {
        rc = nx_iter_status(iter, err);
    }
    if (rc == NX_OK && nx_iter_first(iter))
        rc = read_row(iter, &feed->start, &time_ms, err);
    nx_iter_close(iter);
    return rc;
}

/* --- in flight -------------------------------------------------------------------------------- */

static void list_flight(struct feed *feed, struct feed_flight *flight, uint64_t low)
{
    if (flight->listed) {
        flight->low = low < flight->low ? low : flight->low;
        return;
    }
    flight->listed = true;
    flight->low = low;
    flight->next = feed->flights;
    flight->link = &feed->flights;
    if (flight->next)
        flight->next->link = &flight->next;
    feed->flights = flight;
}

uint64_t feed_claim(struct nx_db *db, struct feed_flight *flight, uint64_t collection,
                    struct nx_slice id)
{
    struct feed *feed = &db->feed;
    uint64_t held;

    nx_mutex_lock(&feed->mu);
    if (recent_find(&db->recent, collection, id, db->io->ops->monotonic_ns(db->io), &held) && held)
        list_flight(feed, flight, held);
    nx_mutex_unlock(&feed->mu);
    return held;
}

uint64_t feed_take(struct feed *feed, struct feed_flight *flight, uint64_t bytes)
{
    uint64_t position;

    nx_mutex_lock(&feed->mu);
    position = feed->next;
    feed->next += bytes;
    if (feed->next > feed->trim_at && !feed->grown) {
        feed->grown = true;
        nx_cond_signal(&feed->wake);
    }
    list_flight(feed, flight, position);
    nx_mutex_unlock(&feed->mu);
    return position;
}

void feed_leave(struct feed *feed, struct feed_flight *flight)
{
    if (!flight->listed)
        return;
    flight->listed = false;
    nx_mutex_lock(&feed->mu);
    *flight->link = flight->next;
    if (flight->next)
        flight->next->link = flight->link;
    if (feed->waiters && !feed->grown) {
        feed->grown = true;
        nx_cond_signal(&feed->wake);
    }
    nx_mutex_unlock(&feed->mu);
}

/* What may be read ends here. A deletion that may turn out to be a replacement is held back (see
 * recent.h). That is asked first: whoever claims it is in flight before the lock is free. */
static uint64_t readable_end(struct nx_db *db, uint64_t *held_until_ns)
{
    struct feed *feed = &db->feed;
    uint64_t end = recent_held(&db->recent, db->io->ops->monotonic_ns(db->io), held_until_ns);

    nx_mutex_lock(&feed->mu);
    end = end < feed->next ? end : feed->next;
    for (const struct feed_flight *flight = feed->flights; flight; flight = flight->next)
        end = end < flight->low ? end : flight->low;
    nx_mutex_unlock(&feed->mu);
    return end;
}

uint64_t nx_feed_end(struct nx_db *db)
{
    uint64_t held_until_ns;

    return readable_end(db, &held_until_ns);
}

uint64_t nx_feed_start(struct nx_db *db)
{
    uint64_t start;

    nx_mutex_lock(&db->feed.mu);
    start = db->feed.start;
    nx_mutex_unlock(&db->feed.mu);
    return start;
}

/* --- waiting ---------------------------------------------------------------------------------- */

void nx_feed_wait(struct nx_db *db, struct nx_feed_waiter *waiter)
{
    struct feed *feed = &db->feed;

    nx_mutex_lock(&feed->mu);
    waiter->next = feed->waiters;
    waiter->link = &feed->waiters;
    if (waiter->next)
        waiter->next->link = &waiter->next;
    feed->waiters = waiter;
    feed->grown = true; /* it may have been, before it waits */
    nx_cond_signal(&feed->wake);
    nx_mutex_unlock(&feed->mu);
}

static void unlist_waiter(struct nx_feed_waiter *waiter)
{
    *waiter->link = waiter->next;
    if (waiter->next)
        waiter->next->link = waiter->link;
    waiter->link = NULL;
}

bool nx_feed_unwait(struct nx_db *db, struct nx_feed_waiter *waiter)
{
    bool waits;

    nx_mutex_lock(&db->feed.mu);
    waits = waiter->link != NULL;
    if (waits)
        unlist_waiter(waiter);
    nx_mutex_unlock(&db->feed.mu);
    return waits;
}

/* The lock is held. Calls are made under it, so that who takes a waiter back knows whether it was
 * called; they only hand something on. */
static void tell_waiters(struct feed *feed, uint64_t end) NX_REQUIRES(feed->mu)
{
    for (struct nx_feed_waiter *waiter = feed->waiters, *next; waiter; waiter = next) {
        next = waiter->next;
        if (waiter->end < end) {
            unlist_waiter(waiter);
            waiter->grown(waiter->arg);
        }
    }
}

/* --- trimming --------------------------------------------------------------------------------- */

/* The last row at or before `position` that is older than `before_ms`: times rise with positions,
 * but for a clock that was set. */
static enum nx_code find_cut(struct nx_db *db, uint64_t low, uint64_t high, uint64_t before_ms,
                             uint64_t *cut, struct nx_err *err)
{
    struct nx_iter *iter = NULL;
    enum nx_code rc = open_rows(db, NULL, &iter, err);

    *cut = low;
    while (rc == NX_OK && low < high) {
        uint64_t middle = low + (high - low) / 2, position = 0, time_ms = 0;
        struct key key;
        bool is_old = false;

        key_of(&key, KEY_CHANGES, middle);
        if (nx_iter_seek(iter, key_slice(&key)))
            rc = read_row(iter, &position, &time_ms, err);
        else
            rc = nx_iter_status(iter, err);
        is_old = position && position < high && time_ms < before_ms;
        if (is_old)
            *cut = low = position + 1;
        else
            high = middle;
    }
    nx_iter_close(iter);
    return rc;
}

/* Names that directories had before the cut. */
static enum nx_code add_labels(struct nx_db *db, uint64_t cut, struct nx_batch *batch,
                               struct nx_err *err)
{
    struct nx_range range = {.keep_cache = false};
    struct key lower, upper;
    struct nx_iter *iter;
    enum nx_code rc;

    key_of_kind(&lower, KEY_LABEL);
    key_of_kind(&upper, KEY_LABEL + 1u);
    range.lower = key_slice(&lower);
    range.upper = key_slice(&upper);
    rc = nx_iter_open(db->engine, &range, &iter, err);
    if (rc != NX_OK)
        return rc;
    for (bool more = nx_iter_first(iter); more && rc == NX_OK; more = nx_iter_next(iter)) {
        struct nx_slice tail;
        uint64_t dir;

        if (key_split(nx_iter_key(iter), &dir, &tail) && tail.len == 8 && key_number(tail) < cut &&
            nx_batch_delete(batch, nx_iter_key(iter)) != NX_OK)
            rc = nx_fail_nomem(err);
    }
    if (rc == NX_OK)
        rc = nx_iter_status(iter, err);
    nx_iter_close(iter);
    return rc;
}

static enum nx_code delete_before(struct nx_db *db, uint64_t cut, struct nx_err *err)
{
    struct nx_batch *batch;
    struct key begin, end;
    enum nx_code rc;

    if (nx_batch_new(&batch) != NX_OK)
        return nx_fail_nomem(err);
    key_of(&begin, KEY_CHANGES, 0);
    key_of(&end, KEY_CHANGES, cut);
    nx_batch_mark_reclaiming(batch);
    rc = nx_batch_delete_range(batch, key_slice(&begin), key_slice(&end));
    rc = rc == NX_OK ? add_labels(db, cut, batch, err) : nx_fail_nomem(err);
    if (rc == NX_OK)
        rc = nx_engine_commit(db->engine, batch, NX_BUFFERED, err);
    nx_batch_free(batch);
    return rc == NX_OK ? nx_engine_reclaim(db->engine, key_slice(&begin), key_slice(&end), err)
                       : rc;
}

/* The last row stays: the next start finds the next position by it, so that none is given twice. */
static enum nx_code last_row(struct nx_db *db, uint64_t *out, struct nx_err *err)
{
    struct nx_iter *iter;
    uint64_t time_ms;
    enum nx_code rc = open_rows(db, NULL, &iter, err);

    if (rc != NX_OK)
        return rc;
    *out = 0;
    rc = nx_iter_last(iter) ? read_row(iter, out, &time_ms, err) : nx_iter_status(iter, err);
    nx_iter_close(iter);
    return rc;
}

static enum nx_code trim(struct nx_db *db, bool all_that_may, struct nx_err *err)
{
    struct feed *feed = &db->feed;
    uint64_t now_ms = db->io->ops->realtime_ns(db->io) / 1000000;
    uint64_t start, end, keep_bytes, keep_ms, cut, last, late, by_size;
    enum nx_code rc;

    nx_mutex_lock(&feed->mu);
    start = feed->start;
    end = feed->next;
    keep_bytes = feed->keep_bytes;
    keep_ms = feed->keep_ms;
    feed->trim_at = end + keep_bytes / TRIM_SHARE;
    nx_mutex_unlock(&feed->mu);
    rc = find_cut(db, start, end, now_ms > keep_ms ? now_ms - keep_ms : 0, &cut, err);
    keep_ms += keep_ms / 7;
    if (rc == NX_OK)
        rc = last_row(db, &last, err);
    if (rc == NX_OK) /* there is something that should have gone a day ago */
        rc = find_cut(db, start, cut, now_ms > keep_ms ? now_ms - keep_ms : 0, &late, err);
    if (rc != NX_OK)
        return rc;
    by_size = end - start > keep_bytes ? end - keep_bytes : start;
    cut = by_size > cut ? by_size : cut;
    cut = cut < last ? cut : last;
    if (cut <= start || (!all_that_may && late == start && cut - start < keep_bytes / TRIM_SHARE))
        return NX_OK;
    nx_mutex_lock(&feed->mu);
    feed->start = cut;
    nx_mutex_unlock(&feed->mu);
    return delete_before(db, cut, err);
}

enum nx_code feed_trim(struct nx_db *db, uint64_t keep_bytes, uint64_t keep_ms, struct nx_err *err)
{
    nx_mutex_lock(&db->feed.mu);
    db->feed.keep_bytes = keep_bytes;
    db->feed.keep_ms = keep_ms;
    nx_mutex_unlock(&db->feed.mu);
    return trim(db, true, err);
}

/* --- the thread ------------------------------------------------------------------------------- */

static uint64_t pause_ms(const struct feed *feed, uint64_t now_ns, uint64_t held_until_ns)
{
    if (!feed->waiters || held_until_ns <= now_ns)
        return TRIM_MS;
    return (held_until_ns - now_ns) / 1000000 + 1;
}

static bool must_trim(struct feed *feed)
{
    bool must;

    nx_mutex_lock(&feed->mu);
    must = feed->next > feed->trim_at;
    nx_mutex_unlock(&feed->mu);
    return must;
}

static void run(void *arg)
{
    struct nx_db *db = arg;
    struct feed *feed = &db->feed;
    uint64_t trimmed_ns = db->io->ops->monotonic_ns(db->io);

    nx_mutex_lock(&feed->mu);
    while (!feed->stop) {
        uint64_t end, held_until_ns = 0, now_ns;

        feed->grown = false;
        nx_mutex_unlock(&feed->mu);
        end = readable_end(db, &held_until_ns);
        now_ns = db->io->ops->monotonic_ns(db->io);
        if (must_trim(feed) || now_ns - trimmed_ns > TRIM_MS * 1000000ull) {
            trim(db, false, NULL); /* what fails now is tried again */
            trimmed_ns = now_ns;
        }
        nx_mutex_lock(&feed->mu);
        tell_waiters(feed, end);
        if (!feed->stop && !feed->grown)
            nx_cond_wait_ms(&feed->wake, &feed->mu, pause_ms(feed, now_ns, held_until_ns));
    }
    nx_mutex_unlock(&feed->mu);
}

enum nx_code feed_start(struct nx_db *db, struct nx_err *err)
{
    return db->io->ops->thread_start(db->io, "nexadb-feed", run, db, &db->feed.thread, err);
}

void feed_stop(struct nx_db *db)
{
    struct feed *feed = &db->feed;

    if (!feed->thread)
        return;
    nx_mutex_lock(&feed->mu);
    feed->stop = true;
    nx_cond_broadcast(&feed->wake);
    nx_mutex_unlock(&feed->mu);
    db->io->ops->thread_join(db->io, feed->thread);
    feed->thread = NULL;
}
