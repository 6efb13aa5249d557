/*
 * sim_disk.h - the state of a simulated disk, for io_sim.c: inodes with two images, names in two
 * states, and what a crash makes of them.
 *
 * Threads: the caller's lock.
 * Errors:  NX_ENOMEM, NX_ENOTFOUND and so on, as the file layer's, without messages.
 */
#ifndef BASE_SIM_DISK_H
#define BASE_SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nexadb/buf.h>
#include <nexadb/io.h>

enum { SIM_SECTOR_BYTES = 512 };

struct sim_inode {
    unsigned refs; /* names in either state, changes, open files */
    bool is_dir;
    struct nx_buf now;   /* what programs see */
    struct nx_buf safe;  /* what is on the platter */
    struct nx_buf dirty; /* a byte a sector: not zero where `now` has to be carried over */
    bool is_size_dirty;
    unsigned maps;          /* `now` must not move */
    struct sim_inode *copy; /* while a disk is being copied */
};

struct sim_name {
    char *path; /* owned */
    struct sim_inode *inode;
};

struct sim_names {
    struct sim_name *rows; /* owned */
    size_t count, cap;
};

/* A change of names that no sync_dir has carried over yet. `from` loses its inode, `to` gets it;
 * either may be NULL. */
struct sim_change {
    char *from, *to; /* owned */
    struct sim_inode *inode;
};

struct sim_disk {
    struct sim_names now, safe;
    struct sim_change *changes; /* owned, oldest first */
    size_t change_count, change_cap;
};

/* What a crash decides: is this unsynced sector, size or change of a name there afterwards? By a
 * seed, or by a list of answers; what is asked behind its end is lost. */
struct sim_fate {
    uint64_t seed;
    const bool *answers; /* NULL: the seed decides */
    size_t count;
    size_t asked; /* counts up */
};

void sim_disk_fini(struct sim_disk *disk);
/* All of it, unsynced state included. */
enum nx_code sim_disk_copy(const struct sim_disk *disk, struct sim_disk *out);
enum nx_code sim_disk_crash(const struct sim_disk *disk, struct sim_fate *fate,
                            struct sim_disk *out);

struct sim_inode *sim_disk_find(const struct sim_disk *disk, const char *path); /* NULL: absent */
bool sim_disk_has_parent(const struct sim_disk *disk, const char *path);
/* The name behind the last slash when `path` lies directly in `dir`, else NULL. */
const char *sim_disk_name_in(const char *path, const char *dir);

/* Give `inode` the name `to`, taking it from `from`. Either may be NULL. */
enum nx_code sim_disk_change(struct sim_disk *disk, const char *from, const char *to,
                             struct sim_inode *inode);
enum nx_code sim_disk_sync_dir(struct sim_disk *disk, const char *dir);
uint64_t sim_disk_bytes(const struct sim_disk *disk);

struct sim_inode *sim_inode_new(bool is_dir); /* one reference, no name; NULL: out of memory */
void sim_inode_unref(struct sim_inode *inode);
enum nx_code sim_inode_resize(struct sim_inode *inode, uint64_t size);
enum nx_code sim_inode_write(struct sim_inode *inode, uint64_t offset, const void *data,
                             size_t len);
/* So that a store needs no memory. */
enum nx_code sim_inode_prepare_map(struct sim_inode *inode);
/* Into a mapped file. Meanwhile the kernel writes mapped pages back as it likes: `random` says
 * which. */
void sim_inode_store(struct sim_inode *inode, uint64_t offset, const void *data, size_t len,
                     uint64_t *random);
enum nx_code sim_inode_sync(struct sim_inode *inode);

/* A small generator: xorshift64*, never 0. */
uint64_t sim_random(uint64_t *state);

#endif
