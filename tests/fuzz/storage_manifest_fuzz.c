/*
 * storage_manifest_fuzz.c - any manifest, edit and marker name is read or refused. The input is a
 * list of edits, a byte of length and the fields each, which are sealed and chained; and as a whole
 * it is a file's name.
 */
#include <nexadb/salvage.h>

#include "base/bytes.h"
#include "base/io_sim.h"
#include "storage/frame.h"
#include "storage/manifest_edit.h"
#include "tests/fuzz/fuzz.h"

static void try_name(const uint8_t *data, size_t size)
{
    char name[64];
    uint64_t number;
    bool is_marker;

    size = size < sizeof name ? size : sizeof name - 1;
    memcpy(name, data, size);
    name[size] = '\0';
    manifest_name_parse(name, &number, &is_marker);
}

static void try_edit(struct nx_slice edit)
{
    struct manifest_state state = {0};
    struct nx_buf line = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;

    if (manifest_edit_apply(&state, edit, &err) != NX_OK)
        CLAIM(err.message[0]);
    for (size_t i = 1; i < state.count; i++)
        CLAIM(state.tables[i - 1].number < state.tables[i].number);
    for (size_t i = 1; i < state.snapshot_count; i++)
        CLAIM(state.snapshots[i - 1].number < state.snapshots[i].number);
    while (edit.len && manifest_edit_print(&edit, &line, NULL) == NX_OK)
        CLAIM(line.len);
    nx_buf_fini(&line);
    manifest_state_fini(&state);
}

/* Append the edits to a sound manifest. */
static void append_edits(struct nx_io *io, const char *path, const uint8_t uuid[16],
                         const uint8_t *data, size_t size)
{
    struct nx_buf bytes = NX_BUF_INIT;
    struct nx_file *file;
    struct frame frame = {.file = 1, .length = 0};
    uint64_t offset = MANIFEST_FIRST_FRAME, previous = 0;
    uint8_t header[FRAME_HEADER_BYTES];
    size_t got;

    CLAIM(io->ops->open(io, path, NX_OPEN_WRITE, &file, NULL) == NX_OK);
    CLAIM(file->ops->pread(file, offset, header, sizeof header, &got, NULL) == NX_OK);
    CLAIM(frame_parse(header, &frame) == FRAME_OK);
    offset += frame_bytes(frame.length);
    previous = frame.hash;
    while (size > 0) {
        size_t len = data[0] < size - 1 ? data[0] : size - 1;

        frame = (struct frame){
            .file = 1, .length = (uint32_t)len, .durable = offset, .previous = previous};
        nx_buf_clear(&bytes);
        CLAIM(nx_buf_resize(&bytes, (size_t)frame_bytes(frame.length)) == NX_OK);
        memcpy(bytes.data + FRAME_HEADER_BYTES, data + 1, len);
        frame_seal(bytes.data, &frame, frame_seed(uuid, 1, MANIFEST_SEED_KIND));
        CLAIM(file->ops->pwrite(file, offset, bytes.data, bytes.len, NULL) == NX_OK);
        offset += bytes.len;
        previous = frame.hash;
        data += 1 + len;
        size -= 1 + len;
    }
    file->ops->close(file);
    nx_buf_fini(&bytes);
}

static void swallow(void *arg, const char *line)
{
    (void)arg;
    CLAIM(line[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct io_sim *sim = io_sim_new(1);
    struct nx_io *io = io_sim_io(sim);
    struct manifest_state state = {.next_number = 1, .uuid = "a fuzzed one"};
    uint8_t uuid[16];
    struct manifest *manifest;
    struct nx_err err = NX_ERR_INIT;
    uint64_t faults;

    try_name(data, size);
    try_edit(nx_slice(data, size));
    memcpy(uuid, state.uuid, sizeof uuid);
    CLAIM(io->ops->mkdir(io, "/db", NULL) == NX_OK);
    CLAIM(manifest_open(io, "/db", &state, &manifest, NULL) == NX_OK);
    manifest_close(manifest);
    append_edits(io, "/db/MANIFEST-000001", uuid, data, size);
    if (manifest_read(io, "/db", &state, &err) == NX_OK)
        manifest_state_fini(&state);
    else
        CLAIM(err.message[0]);
    CLAIM(nx_dump_file("/db/MANIFEST-000001", io, swallow, NULL, &faults, &err) == NX_OK);
    io_sim_free(sim);
    return 0;
}
