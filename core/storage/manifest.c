/*
 * manifest.c - the manifest's files: reading the current one, appending, changing to a new one.
 *
 * Every frame is synced before the next one is written, so a frame vouches for all before it: a bad
 * frame with a good one behind it is damage, a bad last one is an edit that was never acknowledged.
 * An open never goes on in an old file; it starts a new one, so a torn tail is never written over.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "storage/frame.h"
#include "storage/manifest_edit.h"
#include "storage/mutation.h"
#include "storage/wal_segment.h"

enum {
    AT_MAGIC = 8,
    AT_VERSION = 16,
    AT_UUID = 24,
    AT_NUMBER = 40,
    HEADER_BYTES = 48,
    ROLL_BYTES = 4 << 20,
    READ_MAX_BYTES = 1 << 30,
    NAME_BYTES = 32,
};

#define MANIFEST_MAGIC UINT64_C(0x314e414d2d58584e) /* "NXX-MAN1" */
#define MANIFEST_VERSION 1u

struct manifest {
    struct nx_io *io; /* outlives us */
    char *dir;        /* owned */
    struct manifest_state state;
    struct nx_file *file; /* owned; NULL after a failure: the next edit starts a new one */
    uint64_t number;
    uint64_t offset;
    uint64_t hash;
    struct nx_buf buffer;
};

/* --- names ------------------------------------------------------------------------------------ */

static void make_name(uint64_t number, bool is_marker, char out[NAME_BYTES])
{
    if (is_marker)
        snprintf(out, NAME_BYTES, "CURRENT-%06llu", (unsigned long long)number);
    else
        snprintf(out, NAME_BYTES, "MANIFEST-%06llu", (unsigned long long)number);
}

bool manifest_name_parse(const char *name, uint64_t *number, bool *is_marker)
{
    char again[NAME_BYTES];
    unsigned long long n;

    *is_marker = strncmp(name, "CURRENT-", 8) == 0;
    if (sscanf(name, *is_marker ? "CURRENT-%19llu" : "MANIFEST-%19llu", &n) != 1)
        return false;
    make_name(n, *is_marker, again);
    *number = n;
    return strcmp(again, name) == 0;
}

static enum nx_code make_path(struct nx_buf *out, const char *dir, uint64_t number, bool is_marker,
                              struct nx_err *err)
{
    char name[NAME_BYTES];

    make_name(number, is_marker, name);
    return storage_path(out, dir, name, err);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void note_marker(void *arg, const char *name)
{
    uint64_t *newest = arg;
    uint64_t number;
    bool is_marker;

    if (manifest_name_parse(name, &number, &is_marker) && is_marker && number > *newest)
        *newest = number;
}

static enum nx_code load(struct nx_io *io, const char *path, struct nx_buf *out, struct nx_err *err)
{
    struct nx_file *file;
    uint64_t size = 0;
    size_t got = 0;
    enum nx_code rc = io->ops->open(io, path, NX_OPEN_READ, &file, err);

    if (rc != NX_OK)
        return rc == NX_ENOTFOUND ? nx_fail(err, NX_ECORRUPT, "manifest '%s' is missing", path)
                                  : rc;
    rc = file->ops->size(file, &size, err);
    if (rc == NX_OK && size > READ_MAX_BYTES)
        rc = nx_fail(err, NX_ECORRUPT, "manifest '%s' has %llu bytes", path,
                     (unsigned long long)size);
    if (rc == NX_OK && nx_buf_reserve(out, (size_t)size) != NX_OK)
        rc = nx_fail_nomem(err);
    if (rc == NX_OK)
        rc = file->ops->pread(file, 0, out->data, (size_t)size, &got, err);
    out->len = got;
    file->ops->close(file);
    return rc;
}

enum nx_code manifest_header_get(const char *path, struct nx_slice bytes, uint64_t number,
                                 uint8_t uuid[16], struct nx_err *err)
{
    if (bytes.len < MANIFEST_FIRST_FRAME || get_u64le(bytes.data + AT_MAGIC) != MANIFEST_MAGIC ||
        get_u64le(bytes.data) != XXH3_64bits(bytes.data + AT_MAGIC, HEADER_BYTES - AT_MAGIC) ||
        get_u64le(bytes.data + AT_NUMBER) != number)
        return nx_fail(err, NX_ECORRUPT, "manifest '%s' is damaged at offset 0: its header", path);
    if (get_u32le(bytes.data + AT_VERSION) != MANIFEST_VERSION)
        return nx_fail(err, NX_EVERSION, "manifest '%s' has format version %u", path,
                       get_u32le(bytes.data + AT_VERSION));
    memcpy(uuid, bytes.data + AT_UUID, 16);
    return NX_OK;
}

static bool whole_frame_at(struct nx_slice bytes, uint64_t offset, uint64_t seed,
                           struct frame *frame)
{
    return offset + FRAME_HEADER_BYTES <= bytes.len &&
           frame_parse(bytes.data + offset, frame) == FRAME_OK &&
           frame->length <= bytes.len - offset - FRAME_HEADER_BYTES &&
           frame_is_whole(bytes.data + offset, frame, seed);
}

static enum nx_code check_torn(const char *path, struct nx_slice bytes, uint64_t offset,
                               uint64_t seed, struct nx_err *err)
{
    struct frame frame;

    for (uint64_t at = offset; at < bytes.len; at += 8)
        if (whole_frame_at(bytes, at, seed, &frame) && frame.durable > offset)
            return nx_fail(err, NX_ECORRUPT, "manifest '%s' is damaged at offset %llu", path,
                           (unsigned long long)offset);
    if (offset == MANIFEST_FIRST_FRAME) /* synced before the marker was made */
        return nx_fail(err, NX_ECORRUPT, "manifest '%s' is damaged at offset %llu: its first edit",
                       path, (unsigned long long)offset);
    return NX_OK;
}

static enum nx_code replay(const char *path, struct nx_slice bytes, uint64_t number,
                           struct manifest_state *state, struct nx_err *err)
{
    uint64_t seed = frame_seed(state->uuid, number, MANIFEST_SEED_KIND);
    uint64_t offset = MANIFEST_FIRST_FRAME, previous = 0;
    struct nx_err why = NX_ERR_INIT;
    struct frame frame;
    enum nx_code rc = NX_OK;

    while (rc == NX_OK && whole_frame_at(bytes, offset, seed, &frame) &&
           frame.previous == previous) {
        rc = manifest_edit_apply(
            state, nx_slice(bytes.data + offset + FRAME_HEADER_BYTES, frame.length), &why);
        if (rc != NX_OK)
            return nx_fail(err, rc, "manifest '%s' at offset %llu: %s", path,
                           (unsigned long long)offset, why.message);
        previous = frame.hash;
        offset += frame_bytes(frame.length);
    }
    return check_torn(path, bytes, offset, seed, err);
}

enum nx_code manifest_read(struct nx_io *io, const char *dir, struct manifest_state *out,
                           struct nx_err *err)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf bytes NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    const char *name;
    uint64_t number = 0;
    enum nx_code rc;

    *out = (struct manifest_state){0};
    rc = io->ops->list(io, dir, note_marker, &number, err);
    if (rc != NX_OK)
        return rc;
    if (number == 0)
        return nx_fail(err, NX_ENOTFOUND, "no database in '%s'", dir);
    rc = make_path(&path, dir, number, false, err);
    if (rc != NX_OK)
        return rc;
    name = (const char *)path.data;
    rc = load(io, name, &bytes, err);
    if (rc == NX_OK)
        rc = manifest_header_get(name, nx_buf_slice(&bytes), number, out->uuid, err);
    if (rc == NX_OK)
        rc = replay(name, nx_buf_slice(&bytes), number, out, err);
    if (rc != NX_OK)
        manifest_state_fini(out);
    return rc;
}

void manifest_state_fini(struct manifest_state *state)
{
    free(state->tables);
    free(state->snapshots);
    *state = (struct manifest_state){0};
}

/* --- writing ---------------------------------------------------------------------------------- */

static enum nx_code write_frame(struct manifest *manifest, struct nx_file *file,
                                const struct manifest_edit *edit, struct nx_err *err)
{
    struct nx_buf *buffer = &manifest->buffer;
    struct frame frame = {.file = (uint32_t)manifest->number,
                          .durable = manifest->offset,
                          .previous = manifest->hash};
    enum nx_code rc;

    nx_buf_clear(buffer);
    if (nx_buf_resize(buffer, FRAME_HEADER_BYTES) != NX_OK)
        return nx_fail_nomem(err);
    rc = manifest_edit_encode(buffer, edit, err);
    if (rc != NX_OK)
        return rc;
    frame.length = (uint32_t)(buffer->len - FRAME_HEADER_BYTES);
    if (nx_buf_resize(buffer, (size_t)frame_bytes(frame.length)) != NX_OK)
        return nx_fail_nomem(err);
    frame_seal(buffer->data, &frame,
               frame_seed(manifest->state.uuid, manifest->number, MANIFEST_SEED_KIND));
    rc = file->ops->pwrite(file, manifest->offset, buffer->data, buffer->len, err);
    if (rc == NX_OK && !engine_mutated(SKIP_MANIFEST_SYNC))
        rc = file->ops->datasync(file, err);
    if (rc != NX_OK)
        return rc;
    manifest->offset += buffer->len;
    manifest->hash = frame.hash;
    return NX_OK;
}

static enum nx_code write_header(struct manifest *manifest, struct nx_file *file,
                                 struct nx_err *err)
{
    uint8_t header[MANIFEST_FIRST_FRAME] = {0};

    put_u64le(header + AT_MAGIC, MANIFEST_MAGIC);
    put_u32le(header + AT_VERSION, MANIFEST_VERSION);
    memcpy(header + AT_UUID, manifest->state.uuid, 16);
    put_u64le(header + AT_NUMBER, manifest->number);
    put_u64le(header, XXH3_64bits(header + AT_MAGIC, HEADER_BYTES - AT_MAGIC));
    return file->ops->pwrite(file, 0, header, sizeof header, err);
}

static void remove_name(struct manifest *manifest, uint64_t number, bool is_marker)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    if (make_path(&path, manifest->dir, number, is_marker, NULL) == NX_OK)
        manifest->io->ops->remove(manifest->io, (const char *)path.data, NULL);
}

struct old_names {
    struct manifest *manifest;
    uint64_t numbers[64];
    bool is_marker[64];
    size_t count;
};

static void note_old(void *arg, const char *name)
{
    struct old_names *old = arg;
    uint64_t number;
    bool is_marker;

    if (old->count == 64 || !manifest_name_parse(name, &number, &is_marker) ||
        number >= old->manifest->number)
        return;
    old->numbers[old->count] = number;
    old->is_marker[old->count++] = is_marker;
}

/* Markers go first and durably: a marker must never outlive the file it names (I9). */
static void remove_old(struct manifest *manifest)
{
    struct old_names old = {.manifest = manifest};
    struct nx_io *io = manifest->io;

    if (io->ops->list(io, manifest->dir, note_old, &old, NULL) != NX_OK)
        return; /* the next one gets them */
    for (size_t i = 0; i < old.count; i++)
        if (old.is_marker[i])
            remove_name(manifest, old.numbers[i], true);
    if (io->ops->sync_dir(io, manifest->dir, NULL) != NX_OK)
        return;
    for (size_t i = 0; i < old.count; i++)
        if (!old.is_marker[i])
            remove_name(manifest, old.numbers[i], false);
}

static enum nx_code create(struct manifest *manifest, bool is_marker, struct nx_file **out,
                           struct nx_err *err)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = make_path(&path, manifest->dir, manifest->number, is_marker, err);

    *out = NULL;
    if (rc != NX_OK)
        return rc;
    return manifest->io->ops->open(manifest->io, (const char *)path.data,
                                   NX_OPEN_WRITE | NX_OPEN_CREATE | NX_OPEN_TRUNC, out, err);
}

static enum nx_code create_marker(struct manifest *manifest, struct nx_err *err)
{
    struct nx_file *marker;
    enum nx_code rc = create(manifest, true, &marker, err);

    if (rc != NX_OK)
        return rc;
    marker->ops->close(marker);
    return manifest->io->ops->sync_dir(manifest->io, manifest->dir, err);
}

static enum nx_code write_state(struct manifest *manifest, struct nx_file *file, struct nx_err *err)
{
    const struct manifest_state *state = &manifest->state;
    struct manifest_edit all = {.next_number = state->next_number,
                                .flushed_sequence = state->flushed_sequence,
                                .log_start = state->log_start,
                                .added = state->tables,
                                .added_count = state->count,
                                .snapshots = state->snapshots,
                                .snapshot_count = state->snapshot_count};
    enum nx_code rc = write_header(manifest, file, err);

    manifest->offset = MANIFEST_FIRST_FRAME;
    manifest->hash = 0;
    if (rc == NX_OK)
        rc = write_frame(manifest, file, &all, err);
    if (rc == NX_OK)
        rc = manifest->io->ops->sync_dir(manifest->io, manifest->dir, err);
    return rc;
}

/* A new file with the whole state; then, and only then, its marker (I8). */
static enum nx_code roll(struct manifest *manifest, struct nx_err *err)
{
    struct nx_file *file;
    enum nx_code rc;

    if (manifest->file)
        manifest->file->ops->close(manifest->file);
    manifest->file = NULL;
    manifest->number++;
    rc = create(manifest, false, &file, err);
    if (rc == NX_OK && engine_mutated(MARKER_FIRST))
        rc = create_marker(manifest, err);
    if (rc == NX_OK)
        rc = write_state(manifest, file, err);
    if (rc == NX_OK)
        rc = create_marker(manifest, err);
    if (rc != NX_OK) {
        if (file)
            file->ops->close(file);
        return rc;
    }
    manifest->file = file;
    remove_old(manifest);
    return NX_OK;
}

static void note_highest(void *arg, const char *name)
{
    uint64_t *highest = arg;
    uint64_t number;
    bool is_marker;

    if (manifest_name_parse(name, &number, &is_marker) && number > *highest)
        *highest = number;
}

enum nx_code manifest_open(struct nx_io *io, const char *dir, struct manifest_state *state,
                           struct manifest **out, struct nx_err *err)
{
    struct manifest *manifest = calloc(1, sizeof *manifest);
    enum nx_code rc;

    *out = NULL;
    if (!manifest) {
        manifest_state_fini(state);
        return nx_fail_nomem(err);
    }
    manifest->io = io;
    manifest->state = *state;
    *state = (struct manifest_state){0};
    manifest->dir = strdup(dir);
    rc = manifest->dir ? io->ops->list(io, dir, note_highest, &manifest->number, err)
                       : nx_fail_nomem(err);
    if (rc == NX_OK)
        rc = roll(manifest, err);
    if (rc != NX_OK) {
        manifest_close(manifest);
        return rc;
    }
    *out = manifest;
    return NX_OK;
}

void manifest_close(struct manifest *manifest)
{
    if (!manifest)
        return;
    if (manifest->file)
        manifest->file->ops->close(manifest->file);
    manifest_state_fini(&manifest->state);
    nx_buf_fini(&manifest->buffer);
    free(manifest->dir);
    free(manifest);
}

const struct manifest_state *manifest_state(const struct manifest *manifest)
{
    return &manifest->state;
}

uint64_t manifest_bytes(const struct manifest *manifest)
{
    return manifest->offset;
}

static void *copy_rows(const void *rows, size_t count, size_t size)
{
    void *copy = malloc((count + 1) * size);

    if (copy && count)
        memcpy(copy, rows, count * size);
    return copy;
}

/* The state as it will be, so that a failed edit changes nothing. */
static enum nx_code next_state(const struct manifest *manifest, const struct manifest_edit *edit,
                               struct manifest_state *out, struct nx_err *err)
{
    const struct manifest_state *old = &manifest->state;
    struct nx_buf bytes NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc;

    *out = *old;
    out->tables = copy_rows(old->tables, old->count, sizeof *out->tables);
    out->snapshots = copy_rows(old->snapshots, old->snapshot_count, sizeof *out->snapshots);
    rc = out->tables && out->snapshots ? manifest_edit_encode(&bytes, edit, err)
                                       : nx_fail_nomem(err);
    if (rc == NX_OK)
        rc = manifest_edit_apply(out, nx_buf_slice(&bytes), err);
    if (rc != NX_OK)
        manifest_state_fini(out);
    return rc;
}

/*
 * After a failed write or sync the edit may be found by the next open all the same. What it says
 * is true (its tables are on disk), but the next edit must not be written behind it, nor to a
 * file whose pages cannot be trusted (I5): it starts a new file from the state without it.
 */
enum nx_code manifest_apply(struct manifest *manifest, const struct manifest_edit *edit,
                            struct nx_err *err)
{
    struct manifest_state next;
    enum nx_code rc = NX_OK;

    if (!manifest->file || manifest->offset > ROLL_BYTES)
        rc = roll(manifest, err);
    if (rc == NX_OK)
        rc = next_state(manifest, edit, &next, err);
    if (rc != NX_OK)
        return rc;
    rc = write_frame(manifest, manifest->file, edit, err);
    if (rc != NX_OK) {
        manifest_state_fini(&next);
        manifest->file->ops->close(manifest->file);
        manifest->file = NULL;
        return rc;
    }
    manifest_state_fini(&manifest->state);
    manifest->state = next;
    return NX_OK;
}
