/*
 * journal.c - counting the text of a feed, and finding an offset in it.
 *
 * A change's line is the same whenever it is written: names are those of then, and documents are
 * left out. So an offset is found by going on from the last mark before it. Marks are a step apart;
 * when there are too many, every other goes and the step doubles.
 */
#include "fs/journal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MARKS_MAX 8192u
#define FIRST_STEP (64u << 10)
#define IDLE_MAX 256u

struct mark {
    uint64_t offset; /* of the text after `token` */
    char token[NX_FEED_TOKEN_BYTES];
};

struct journal {
    struct journals *journals; /* outlives it */
    struct journal *next;      /* guarded by the journals' mu, as `users` */
    unsigned users;
    nx_ino collection;
    uint64_t start; /* of the feed when offset 0 was its oldest change */
    pthread_mutex_t mu;
    struct nx_feed *feed; /* owned; guarded by mu, as the rest: at the end of what is counted */
    struct nx_buf line;
    uint64_t size, step;
    struct mark *marks; /* owned */
    size_t mark_count;
};

struct journals {
    struct nx_db *db; /* outlives it */
    pthread_mutex_t mu;
    struct journal *first; /* guarded by mu */
    unsigned count;
};

struct journals *journals_new(struct nx_db *db)
{
    struct journals *journals = calloc(1, sizeof *journals);

    if (!journals)
        return NULL;
    journals->db = db;
    pthread_mutex_init(&journals->mu, NULL);
    return journals;
}

static void journal_free(struct journal *journal)
{
    nx_feed_close(journal->feed);
    nx_buf_fini(&journal->line);
    pthread_mutex_destroy(&journal->mu);
    free(journal->marks);
    free(journal);
}

void journals_free(struct journals *journals)
{
    if (!journals)
        return;
    while (journals->first) {
        struct journal *next = journals->first->next;

        journal_free(journals->first);
        journals->first = next;
    }
    pthread_mutex_destroy(&journals->mu);
    free(journals);
}

/* --- the table -------------------------------------------------------------------------------- */

static enum nx_code make(struct journals *journals, nx_ino collection, struct journal **out,
                         struct nx_err *err)
{
    struct journal *journal = calloc(1, sizeof *journal);
    enum nx_code rc;

    *out = NULL;
    if (!journal)
        return nx_fail_nomem(err);
    journal->journals = journals;
    journal->collection = collection;
    journal->start = nx_feed_start(journals->db);
    journal->step = FIRST_STEP;
    pthread_mutex_init(&journal->mu, NULL);
    journal->marks = calloc(MARKS_MAX, sizeof *journal->marks);
    rc = journal->marks ? nx_feed_open(journals->db, collection, "0", &journal->feed, err)
                        : nx_fail_nomem(err);
    if (rc != NX_OK) {
        journal_free(journal);
        return rc;
    }
    memcpy(journal->marks[0].token, "0", 2);
    journal->mark_count = 1;
    *out = journal;
    return NX_OK;
}

/* The lock is held. The one that has been there longest, of those nobody uses. */
static void drop_idle(struct journals *journals)
{
    struct journal **found = NULL, *journal;

    for (struct journal **at = &journals->first; *at; at = &(*at)->next)
        if ((*at)->users == 0)
            found = at;
    if (!found)
        return;
    journal = *found;
    *found = journal->next;
    journals->count--;
    journal_free(journal);
}

enum nx_code journal_get(struct journals *journals, nx_ino collection, struct journal **out,
                         struct nx_err *err)
{
    struct journal *journal;
    enum nx_code rc = NX_OK;

    pthread_mutex_lock(&journals->mu);
    for (journal = journals->first; journal && journal->collection != collection;)
        journal = journal->next;
    if (!journal) {
        if (journals->count >= IDLE_MAX)
            drop_idle(journals);
        rc = make(journals, collection, &journal, err);
        if (rc == NX_OK) {
            journal->next = journals->first;
            journals->first = journal;
            journals->count++;
        }
    }
    if (rc == NX_OK)
        journal->users++;
    pthread_mutex_unlock(&journals->mu);
    *out = journal;
    return rc;
}

void journal_put(struct journal *journal)
{
    if (!journal)
        return;
    pthread_mutex_lock(&journal->journals->mu);
    journal->users--;
    pthread_mutex_unlock(&journal->journals->mu);
}

/* --- counting --------------------------------------------------------------------------------- */

/* The lock is held. */
static void thin_marks(struct journal *journal)
{
    for (size_t i = 0; i < MARKS_MAX / 2; i++)
        journal->marks[i] = journal->marks[2 * i];
    journal->mark_count = MARKS_MAX / 2;
    journal->step *= 2;
}

static void add_mark(struct journal *journal)
{
    struct mark *mark;

    if (journal->size - journal->marks[journal->mark_count - 1].offset < journal->step)
        return;
    if (journal->mark_count == MARKS_MAX)
        thin_marks(journal);
    mark = &journal->marks[journal->mark_count++];
    mark->offset = journal->size;
    nx_feed_token(journal->feed, mark->token);
}

static enum nx_code add_line(struct nx_feed *feed, const struct nx_feed_change *change,
                             struct nx_buf *out, struct nx_err *err)
{
    enum nx_code rc = nx_feed_write(feed, change, NX_SLICE_NULL, out, err);

    if (rc == NX_OK && nx_buf_append_byte(out, '\n') != NX_OK)
        rc = nx_fail_nomem(err);
    return rc;
}

enum nx_code journal_size(struct journal *journal, uint64_t *out, struct nx_err *err)
{
    struct nx_feed_change change;
    enum nx_code rc;

    pthread_mutex_lock(&journal->mu);
    while ((rc = nx_feed_next(journal->feed, &change, err)) == NX_OK) {
        nx_buf_clear(&journal->line);
        rc = add_line(journal->feed, &change, &journal->line, err);
        if (rc != NX_OK)
            break;
        journal->size += journal->line.len;
        add_mark(journal);
    }
    *out = journal->size;
    pthread_mutex_unlock(&journal->mu);
    return rc == NX_DONE ? NX_OK : rc;
}

/* --- reading ---------------------------------------------------------------------------------- */

void journal_reader_fini(struct journal_reader *reader)
{
    nx_feed_close(reader->feed);
    nx_buf_fini(&reader->window);
    reader->feed = NULL;
}

static struct mark mark_before(struct journal *journal, uint64_t offset)
{
    struct mark mark;
    size_t low = 0, high;

    pthread_mutex_lock(&journal->mu);
    high = journal->mark_count; /* the first is at 0 */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (journal->marks[middle].offset <= offset)
            low = middle;
        else
            high = middle;
    }
    mark = journal->marks[low];
    pthread_mutex_unlock(&journal->mu);
    return mark;
}

/* Stand at the last mark before `offset`. */
static enum nx_code seek(struct journal_reader *reader, uint64_t offset, struct nx_err *err)
{
    struct journal *journal = reader->journal;
    struct mark mark = mark_before(journal, offset);
    struct nx_db *db = journal->journals->db;

    nx_feed_close(reader->feed);
    nx_buf_clear(&reader->window);
    reader->window_at = mark.offset;
    return nx_feed_open(db, journal->collection, mark.token, &reader->feed, err);
}

/* From offset 0 the feed is read wherever it begins: it must be where it began. */
static enum nx_code check_start(struct journal_reader *reader, struct nx_err *err)
{
    struct journal *journal = reader->journal;

    if (reader->window_at + reader->window.len == 0 &&
        nx_feed_start(journal->journals->db) != journal->start)
        return nx_fail(err, NX_ENODATA, "the change feed no longer goes back to its beginning");
    return NX_OK;
}

static void forget_before(struct journal_reader *reader, uint64_t offset)
{
    uint64_t gone = offset - reader->window_at;

    if (offset <= reader->window_at)
        return;
    gone = gone < reader->window.len ? gone : reader->window.len;
    memmove(reader->window.data, reader->window.data + gone, reader->window.len - gone);
    reader->window.len -= gone;
    reader->window_at += gone;
}

static uint64_t window_end(const struct journal_reader *reader)
{
    return reader->window_at + reader->window.len;
}

static enum nx_code produce(struct journal_reader *reader, uint64_t end, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    while (rc == NX_OK && window_end(reader) < end) {
        struct nx_feed_change change;

        rc = nx_feed_next(reader->feed, &change, err);
        if (rc == NX_OK)
            rc = check_start(reader, err);
        if (rc == NX_OK)
            rc = add_line(reader->feed, &change, &reader->window, err);
    }
    nx_feed_rest(reader->feed);
    return rc == NX_DONE ? NX_OK : rc;
}

enum nx_code journal_read(struct journal_reader *reader, uint64_t offset, size_t size,
                          struct nx_slice *out, struct nx_err *err)
{
    enum nx_code rc = NX_OK;
    size_t from;

    *out = NX_SLICE_NULL;
    if (!reader->feed || offset < reader->window_at ||
        offset > window_end(reader) + reader->journal->step)
        rc = seek(reader, offset, err);
    if (rc == NX_OK)
        rc = produce(reader, offset, err); /* what is between, line by line */
    if (rc == NX_OK) {
        forget_before(reader, offset);
        rc = produce(reader, offset + size, err);
    }
    if (rc != NX_OK || window_end(reader) <= offset)
        return rc;
    from = (size_t)(offset - reader->window_at);
    *out = nx_slice(reader->window.data + from,
                    reader->window.len - from < size ? reader->window.len - from : size);
    return NX_OK;
}
