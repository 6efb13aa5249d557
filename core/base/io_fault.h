/*
 * io_fault.h - a file layer that fails on request, in front of any other.
 *
 * A rule picks calls by operation, path and count, and says what happens to them. Every call is
 * counted, so a test can first count a scenario's calls and then fail each of them in turn.
 *
 * Threads: any.
 */
#ifndef BASE_IO_FAULT_H
#define BASE_IO_FAULT_H

#include <nexadb/io.h>

/* X(name, bit) */
#define IO_FAULT_OPS(X)                                                                            \
    X(OPEN, 0)                                                                                     \
    X(READ, 1)                                                                                     \
    X(WRITE, 2)                                                                                    \
    X(SIZE, 3)                                                                                     \
    X(TRUNCATE, 4)                                                                                 \
    X(ALLOCATE, 5)                                                                                 \
    X(DATASYNC, 6)                                                                                 \
    X(MAP, 7)                                                                                      \
    X(RENAME, 8)                                                                                   \
    X(LINK, 9)                                                                                     \
    X(REMOVE, 10)                                                                                  \
    X(MKDIR, 11)                                                                                   \
    X(RMDIR, 12)                                                                                   \
    X(LIST, 13)                                                                                    \
    X(SYNC_DIR, 14)                                                                                \
    X(SPACE, 15)                                                                                   \
    X(LOCK, 16)                                                                                    \
    X(THREAD, 17)

enum io_fault_op {
#define X(name, bit) IO_FAULT_##name = 1u << bit,
    IO_FAULT_OPS(X)
#undef X
};
#define IO_FAULT_ANY ((1u << 18) - 1)

enum io_fault_action {
    IO_FAULT_EIO,
    IO_FAULT_ENOSPC,
    IO_FAULT_SHORT, /* a write stops half way, then EIO */
    IO_FAULT_FLIP,  /* a read succeeds with one bit wrong */
};

struct io_fault_rule {
    unsigned ops;     /* bits of enum io_fault_op */
    const char *glob; /* of the path, fnmatch(3) without flags; NULL: any. Outlives the rule */
    uint64_t nth;     /* from this matching call on, 1-based; 0: the first */
    uint64_t times;   /* that many calls; 0: one; UINT64_MAX: for good */
    enum io_fault_action action;
};

struct io_fault;

/* NULL: out of memory. `under` outlives it. */
struct io_fault *io_fault_new(struct nx_io *under);
void io_fault_free(struct io_fault *fault); /* NULL is fine; after every file is closed */
struct nx_io *io_fault_io(struct io_fault *fault);

/* Up to 8 rules; the first that matches acts, every one counts. */
void io_fault_add(struct io_fault *fault, const struct io_fault_rule *rule);
void io_fault_clear(struct io_fault *fault); /* rules, not counters */
/* Calls so far of the operations in `ops`. */
uint64_t io_fault_calls(struct io_fault *fault, unsigned ops);
/* Calls that a rule acted on. */
uint64_t io_fault_hits(struct io_fault *fault);
/* The places in the code where calls were made that some rule of this program acted on: return
 * addresses, each once. Gives how many; at most `size` are copied to `out`. */
size_t io_fault_sites(void **out, size_t size);

/*
 * Called with the file of the layer beneath when its datasync is made to fail: a kernel then calls
 * the dirty pages clean. Reads go on showing them, and a later datasync succeeds without writing
 * them. io_sim_lose_dirty models that.
 */
typedef void (*io_fault_lost_fn)(struct nx_file *file);
void io_fault_on_lost_sync(struct io_fault *fault, io_fault_lost_fn fn);

#endif
