/*
 * journal.h - the change feed of a directory, or of all, as a text that grows: lines of JSON at
 * offsets that stay.
 *
 * Offset 0 is the oldest change that was kept when the journal was first looked at in this mount.
 * Nothing of the text is kept: its length is counted once, with a mark now and then to read from.
 *
 * Threads: any. Each call may take long: not on a worker.
 */
#ifndef FS_JOURNAL_H
#define FS_JOURNAL_H

#include <nexadb/feed.h>

struct journals;
struct journal;

struct journals *journals_new(struct nx_db *db); /* NULL without memory */
void journals_free(struct journals *journals);
/* The journal of a collection, or of all with 0. Give it back with journal_put. */
enum nx_code journal_get(struct journals *journals, nx_ino collection, struct journal **out,
                         struct nx_err *err);
void journal_put(struct journal *journal);
/* The length of the text as of now. */
enum nx_code journal_size(struct journal *journal, uint64_t *out, struct nx_err *err);

/* A place of reading, for one thread at a time. */
struct journal_reader {
    struct journal *journal;
    struct nx_feed *feed; /* owned */
    struct nx_buf window; /* text */
    uint64_t window_at;   /* offset of its first byte */
};
void journal_reader_fini(struct journal_reader *reader);
/* Borrowed bytes at `offset`, up to `size`; less only at the end. NX_ENODATA: before what is kept.
 */
enum nx_code journal_read(struct journal_reader *reader, uint64_t offset, size_t size,
                          struct nx_slice *out, struct nx_err *err);

#endif
