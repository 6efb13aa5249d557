/* rejected.c - the folder of refused texts: made when it is needed, numbered, bounded. */
#include "fs/rejected.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One at a time, over all mounts of the process: numbers are found by listing. */
static pthread_mutex_t saving = PTHREAD_MUTEX_INITIALIZER;

#define WRITE_BYTES (1u << 20)

uint64_t rejected_number(const char *name)
{
    const char *dot = strrchr(name, '.');
    char *end;
    uint64_t number;

    if (!dot || dot[1] < '1' || dot[1] > '9')
        return 0;
    number = strtoull(dot + 1, &end, 10);
    return *end ? 0 : number;
}

void rejected_name(const char *name, uint64_t number, char out[256])
{
    char suffix[24];
    size_t len = strlen(name), room;

    snprintf(suffix, sizeof suffix, ".%" PRIu64, number);
    room = 255 - strlen(suffix);
    if (len > room) {
        len = room;
        while (len > 0 && ((unsigned char)name[len] & 0xc0) == 0x80)
            len--;
    }
    memcpy(out, name, len);
    strcpy(out + len, suffix);
}

struct census {
    uint64_t newest, oldest, bytes;
    unsigned files;
    char oldest_name[256];
};

static enum nx_code take_census(struct fs *fs, nx_ino dir, struct census *out, struct nx_err *err)
{
    struct nx_dirent entry;
    struct nx_dir *list;
    enum nx_code rc = nx_dir_open(fs->db, NULL, dir, false, &list, err);

    *out = (struct census){.oldest = UINT64_MAX};
    if (rc != NX_OK)
        return rc;
    while ((rc = nx_dir_next(list, &entry, err)) == NX_OK) {
        uint64_t number = rejected_number(entry.name);

        if (number == 0 || entry.attr.kind != NX_KIND_FILE || entry.name_len > 255)
            continue; /* the user's own */
        out->files++;
        out->bytes += entry.attr.size;
        out->newest = number > out->newest ? number : out->newest;
        if (number < out->oldest) {
            out->oldest = number;
            memcpy(out->oldest_name, entry.name, entry.name_len + 1);
        }
    }
    nx_dir_close(list);
    return rc == NX_DONE ? NX_OK : rc;
}

static enum nx_code find_folder(struct fs *fs, nx_ino collection, const struct nx_change *change,
                                struct nx_attr *out, struct nx_err *err)
{
    struct nx_attr parent;
    enum nx_code rc =
        nx_db_lookup(fs->db, NULL, collection, REJECTED_DIR, strlen(REJECTED_DIR), out, err);

    if (rc != NX_ENOTFOUND)
        return rc;
    rc = nx_db_stat(fs->db, NULL, collection, &parent, err);
    if (rc != NX_OK)
        return rc;
    *out = (struct nx_attr){.kind = NX_KIND_DIRECTORY,
                            .mode = parent.mode & 0777,
                            .uid = parent.uid,
                            .gid = parent.gid};
    return nx_db_create(fs->db, collection, REJECTED_DIR, strlen(REJECTED_DIR), NX_SLICE_NULL,
                        change, out, err);
}

/* Room for one more of `bytes`; *number is the next free one. */
static enum nx_code make_room(struct fs *fs, nx_ino dir, uint64_t bytes,
                              const struct nx_change *change, uint64_t *number, struct nx_err *err)
{
    struct nx_attr removed;
    struct census census;
    enum nx_code rc = take_census(fs, dir, &census, err);

    *number = census.newest + 1;
    while (rc == NX_OK && census.files > 0 &&
           (census.files >= REJECTED_MAX_FILES || census.bytes + bytes > REJECTED_MAX_BYTES)) {
        rc = nx_db_unlink(fs->db, dir, census.oldest_name, strlen(census.oldest_name), change,
                          &removed, err);
        if (rc == NX_OK || rc == NX_ENOTFOUND)
            rc = take_census(fs, dir, &census, err);
    }
    return rc;
}

static enum nx_code create_file(struct fs *fs, nx_ino collection, const char *name, uint64_t bytes,
                                const struct nx_change *change, nx_ino *ino, struct nx_err *err)
{
    struct nx_attr dir, file = {.kind = NX_KIND_FILE, .mode = 0600};
    char full[256];
    uint64_t number = 0;
    enum nx_code rc = find_folder(fs, collection, change, &dir, err);

    if (rc == NX_OK)
        rc = make_room(fs, dir.ino, bytes, change, &number, err);
    if (rc != NX_OK)
        return rc;
    rejected_name(name, number, full);
    file.uid = change->uid;
    file.gid = change->gid;
    rc = nx_db_create(fs->db, dir.ino, full, strlen(full), NX_SLICE_NULL, change, &file, err);
    if (rc == NX_OK)
        *ino = file.ino;
    return rc;
}

static enum nx_code write_all(struct fs *fs, nx_ino ino, struct nx_slice text,
                              const struct nx_change *change, struct nx_err *err)
{
    struct nx_attr attr = {.size = text.len};
    enum nx_code rc = nx_db_set_attr(fs->db, ino, NX_SET_SIZE, &attr, change, &attr, err);

    for (size_t at = 0; rc == NX_OK && at < text.len; at += WRITE_BYTES) {
        size_t len = text.len - at < WRITE_BYTES ? text.len - at : WRITE_BYTES;

        rc = nx_db_write(fs->db, ino, at, text.data + at, len, change, &attr, err);
    }
    return rc;
}

enum nx_code rejected_save(struct fs *fs, nx_ino collection, const char *name, struct nx_slice text,
                           uint32_t uid, uint32_t gid, nx_ino *ino, struct nx_err *err)
{
    /* not the mount's own change: the kernel has not heard of these names */
    struct nx_change change = {.durability = NX_BUFFERED, .uid = uid, .gid = gid};
    enum nx_code rc = NX_OK;

    pthread_mutex_lock(&saving);
    if (*ino != 0 && nx_db_stat(fs->db, NULL, *ino, &(struct nx_attr){0}, NULL) != NX_OK)
        *ino = 0; /* removed meanwhile */
    if (*ino == 0)
        rc = create_file(fs, collection, name, text.len, &change, ino, err);
    if (rc == NX_OK)
        rc = write_all(fs, *ino, text, &change, err);
    pthread_mutex_unlock(&saving);
    return rc;
}
