/*
 * io_sim.h - a disk in memory that can lose power.
 *
 * Each file has the image that programs see and the one that is on the platter; each directory
 * likewise. datasync carries a file's dirty sectors over, sync_dir a directory's names. A crash
 * keeps what was carried over and, of the rest, whatever its seed says: each dirty 512-byte sector
 * old or new, each change of a file's size or not, and of the changes of names either those up to
 * some moment or any of them.
 *
 * A crash does not disturb the running disk: it gives a second one, as the next boot finds it. So
 * a test can crash in the middle of any operation and close the first database in peace.
 *
 * Threads: any.
 */
#ifndef BASE_IO_SIM_H
#define BASE_IO_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nexadb/io.h>

struct io_sim;

/* NULL: out of memory. The seed drives random(). */
struct io_sim *io_sim_new(uint64_t seed);
void io_sim_free(struct io_sim *sim); /* NULL is fine; after every file is closed */
struct nx_io *io_sim_io(struct io_sim *sim);

/* The disk after a power loss now. NULL: out of memory. */
struct io_sim *io_sim_crash(struct io_sim *sim, uint64_t seed);
/*
 * The same, told what is there afterwards of what was not synced: the i-th thing that the crash
 * asks about is when answers[i] says so (`answers` not NULL), those behind `count` are lost. *asked
 * gets how many it asked about; an answer can bring up further things.
 */
struct io_sim *io_sim_crash_with(struct io_sim *sim, const bool *answers, size_t count,
                                 size_t *asked);
/* The disk after the program alone was killed: everything it wrote is there. */
struct io_sim *io_sim_kill(struct io_sim *sim);

/* Operations that change the disk, so far. */
uint64_t io_sim_changes(struct io_sim *sim);
/* Crash when the `change`-th operation from now (1: the next) is about to be done, and call `fn`
 * at that moment, with nothing of the simulation usable from it. */
void io_sim_plan_crash(struct io_sim *sim, uint64_t change, uint64_t seed, void (*fn)(void *arg),
                       void *arg);
/* The same, but only the program dies. */
void io_sim_plan_kill(struct io_sim *sim, uint64_t change, void (*fn)(void *arg), void *arg);
/* What the plan made; NULL when it has not come to that. The caller's. */
struct io_sim *io_sim_take_crash(struct io_sim *sim);

/* In front of every operation that changes the disk, `fn` gets what io_sim_kill gives at that
 * moment (the caller's; NULL: out of memory), with nothing of the simulation usable from it. A
 * crash of that disk is a crash then. NULL: no more. */
void io_sim_watch(struct io_sim *sim, void (*fn)(void *arg, struct io_sim *then), void *arg);

/* Call a file's dirty sectors clean without carrying them over: a failed datasync. */
void io_sim_lose_dirty(struct nx_file *file);
/* Limit the bytes of all files; 0: no limit. */
void io_sim_set_space(struct io_sim *sim, uint64_t bytes);
/* Both clocks stand still but for this. */
void io_sim_advance(struct io_sim *sim, uint64_t ns);
/* Flip a bit of a file, in both images. False when there is no such byte. */
bool io_sim_flip(struct io_sim *sim, const char *path, uint64_t offset);

#endif
