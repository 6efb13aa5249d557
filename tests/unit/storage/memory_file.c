/* memory_file.c - reading and writing a buffer as a file. Closing keeps the bytes. */
#include "tests/unit/storage/memory_file.h"

static enum nx_code read_at(struct nx_file *base, uint64_t offset, void *out, size_t len,
                            size_t *got, struct nx_err *err)
{
    struct memory_file *file = (struct memory_file *)base;
    size_t left = offset < file->bytes.len ? file->bytes.len - (size_t)offset : 0;

    (void)err;
    file->reads++;
    *got = len < left ? len : left;
    if (*got)
        memcpy(out, file->bytes.data + offset, *got);
    return NX_OK;
}

static enum nx_code write_at(struct nx_file *base, uint64_t offset, const void *data, size_t len,
                             struct nx_err *err)
{
    struct memory_file *file = (struct memory_file *)base;

    if (file->fail_write_in > 0 && --file->fail_write_in == 0)
        return nx_fail(err, NX_ENOSPC, "no space for %zu bytes", len);
    if (offset + len > file->bytes.len && nx_buf_resize(&file->bytes, offset + len) != NX_OK)
        return nx_fail_nomem(err);
    memcpy(file->bytes.data + offset, data, len);
    return NX_OK;
}

static enum nx_code get_size(struct nx_file *base, uint64_t *out, struct nx_err *err)
{
    (void)err;
    *out = ((struct memory_file *)base)->bytes.len;
    return NX_OK;
}

static enum nx_code sync_data(struct nx_file *base, struct nx_err *err)
{
    (void)base;
    (void)err;
    return NX_OK;
}

static void close_file(struct nx_file *base)
{
    (void)base;
}

static const struct nx_file_ops memory_ops = {
    .close = close_file,
    .pread = read_at,
    .pwrite = write_at,
    .size = get_size,
    .datasync = sync_data,
};

void memory_file_init(struct memory_file *file)
{
    *file = (struct memory_file){.base = {.ops = &memory_ops}};
}

void memory_file_fini(struct memory_file *file)
{
    nx_buf_fini(&file->bytes);
}

uint64_t test_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}
