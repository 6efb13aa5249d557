/* numbers.c - the reservation of number blocks. */
#include "store/numbers.h"

#include "base/bytes.h"
#include "store/keys.h"
#include "store/meta.h"

/* One small commit in this many numbers. */
#define BLOCK 65536u

void numbers_init(struct numbers *numbers, struct nx_engine *engine, uint64_t next)
{
    nx_mutex_init(&numbers->mu, NX_RANK_STORE_COUNTER);
    numbers->engine = engine;
    numbers->next = numbers->reserved = next;
}

void numbers_fini(struct numbers *numbers)
{
    nx_mutex_fini(&numbers->mu);
}

/* Commits are logged in order: whatever uses a number of the block is behind its reservation. */
static enum nx_code reserve(struct numbers *numbers, uint64_t end, struct nx_err *err)
{
    struct nx_batch *batch;
    uint8_t value[8];
    enum nx_code rc;

    if (end >= NUMBER_LIMIT)
        return nx_fail(err, NX_ENOSPC, "the database has used up its %llu numbers",
                       (unsigned long long)NUMBER_LIMIT);
    rc = nx_batch_new(&batch);
    if (rc != NX_OK)
        return nx_fail_nomem(err);
    put_u64le(value, end);
    nx_batch_mark_reclaiming(batch); /* eight bytes; deleting takes numbers too */
    rc = nx_batch_put(batch, META_NEXT, nx_slice(value, sizeof value));
    rc = rc == NX_OK ? nx_engine_commit(numbers->engine, batch, NX_BUFFERED, err)
                     : nx_fail_nomem(err);
    nx_batch_free(batch);
    if (rc == NX_OK)
        numbers->reserved = end;
    return rc;
}

enum nx_code numbers_take(struct numbers *numbers, uint64_t count, uint64_t *first,
                          struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    nx_mutex_lock(&numbers->mu);
    if (numbers->reserved - numbers->next < count)
        rc = reserve(numbers, numbers->next + count + BLOCK, err);
    if (rc == NX_OK) {
        *first = numbers->next;
        numbers->next += count;
    }
    nx_mutex_unlock(&numbers->mu);
    return rc;
}
