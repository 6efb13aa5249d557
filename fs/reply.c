/*
 * reply.c - how requests are answered.
 *
 * Timeouts are long, because the notifier takes back what changes behind the kernel. Three cases
 * get timeout 0: an answer prepared before a change that passed meanwhile, a document that somebody
 * writes, whose attributes change at the commit without a request that tells the kernel, and one of
 * which somebody reads an older version through the page cache, with that version's size.
 *
 * A parked request has two ends, the handler's return and the commit's acknowledgement, in any
 * order; the last one sends the answer.
 */
#include "fs/reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/errno.h"
#include "fs/handle.h"
#include "fs/place.h"
#include "fs/readers.h"
#include "fs/seen.h"
#include "fs/settle.h"
#include "fs/writers.h"

static const mode_t type_bits[] = {
    [NX_KIND_DOCUMENT] = S_IFREG, [NX_KIND_DRAFT] = S_IFREG,     [NX_KIND_COLLECTION] = S_IFDIR,
    [NX_KIND_ROOT] = S_IFDIR,     [NX_KIND_DIRECTORY] = S_IFDIR, [NX_KIND_FILE] = S_IFREG,
    [NX_KIND_SYMLINK] = S_IFLNK,  [NX_KIND_FIFO] = S_IFIFO,      [NX_KIND_SOCKET] = S_IFSOCK,
    [NX_KIND_CHARDEV] = S_IFCHR,  [NX_KIND_BLOCKDEV] = S_IFBLK,
};

static struct timespec from_ns(int64_t ns)
{
    int64_t s = ns / 1000000000, rest = ns % 1000000000;

    if (rest < 0) {
        s--;
        rest += 1000000000;
    }
    return (struct timespec){.tv_sec = s, .tv_nsec = rest};
}

void reply_stat(const struct nx_attr *attr, struct stat *out)
{
    *out = (struct stat){
        .st_ino = attr->ino,
        .st_mode = type_bits[attr->kind] | (attr->mode & 07777),
        .st_nlink = attr->nlink,
        .st_uid = attr->uid,
        .st_gid = attr->gid,
        .st_rdev = attr->rdev,
        .st_size = (off_t)attr->size,
        .st_blksize = 4096,
        .st_blocks = (blkcnt_t)((attr->stored + 511) / 512),
        .st_atim = from_ns(attr->atime_ns),
        .st_mtim = from_ns(attr->mtime_ns),
        .st_ctim = from_ns(attr->ctime_ns),
    };
}

static bool is_current(struct fs *fs, uint64_t generation)
{
    return atomic_load(&fs->generation) == generation;
}

/* What lies in a snapshot never changes; its magic files follow it, which is never asked. */
static bool is_lasting(struct fs *fs, const struct nx_attr *attr, uint64_t generation)
{
    return place_snapshot(attr->ino) != 0 || is_current(fs, generation);
}

/* Nobody is about to change it without the kernel's knowing, and its size is everybody's. */
static bool is_settled(struct fs *fs, const struct nx_attr *attr)
{
    return attr->kind > NX_KIND_DRAFT ||
           (!writers_has(fs->writers, attr->ino) &&
            !readers_have_other(fs->readers, attr->ino, attr->revision));
}

void reply_fill_entry(struct fs *fs, const struct nx_attr *attr, uint64_t generation,
                      struct fuse_entry_param *out)
{
    memset(out, 0, sizeof *out);
    out->ino = attr->ino;
    seen_mark_node(fs->seen, attr->ino);
    if (is_lasting(fs, attr, generation)) {
        out->entry_timeout = FS_LONG_S;
        out->attr_timeout = is_settled(fs, attr) ? FS_LONG_S : 0;
    }
    reply_stat(attr, &out->attr);
}

void reply_entry(fuse_req_t req, const struct nx_attr *attr, uint64_t generation)
{
    struct fuse_entry_param entry;

    reply_fill_entry(fs_of(req), attr, generation, &entry);
    fuse_reply_entry(req, &entry);
}

void reply_missing(fuse_req_t req, uint64_t generation)
{
    struct fs *fs = fs_of(req);
    struct fuse_entry_param entry = {0};

    if (is_current(fs, generation))
        entry.entry_timeout = FS_LONG_S;
    fuse_reply_entry(req, &entry);
}

void reply_attr(fuse_req_t req, const struct nx_attr *attr, uint64_t generation)
{
    struct fs *fs = fs_of(req);
    struct stat st;

    reply_stat(attr, &st);
    fuse_reply_attr(req, &st,
                    is_lasting(fs, attr, generation) && is_settled(fs, attr) ? FS_LONG_S : 0);
}

void reply_fail(fuse_req_t req, const char *what, const struct nx_err *err)
{
    struct fs *fs = fs_of(req);

    if (fs_errno_is_internal(err->code) || fs->options.debug)
        fs_log(fs, "%s: %s: %s", what, nx_code_name(err->code), err->message);
    fuse_reply_err(req, fs_errno(err->code));
}

/* --- scratch -----------------------------------------------------------------------------------
 */

struct scratch {
    size_t size;
    max_align_t data[];
};

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void make_key(void)
{
    pthread_key_create(&scratch_key, free);
}

void *reply_scratch(size_t size)
{
    struct scratch *scratch;

    pthread_once(&scratch_once, make_key);
    scratch = pthread_getspecific(scratch_key);
    if (scratch && scratch->size >= size)
        return scratch->data;
    free(scratch);
    size = size < 128 * 1024 ? 128 * 1024 : size;
    scratch = malloc(sizeof *scratch + size);
    if (scratch)
        scratch->size = size;
    pthread_setspecific(scratch_key, scratch);
    return scratch ? scratch->data : NULL;
}

/* --- parked requests ----------------------------------------------------------------------------
 */

struct parked *parked_new(fuse_req_t req, const char *what, enum parked_answer answer)
{
    struct parked *parked = malloc(sizeof *parked);

    if (!parked) {
        fuse_reply_err(req, ENOMEM);
        return NULL;
    }
    parked->req = req;
    parked->fs = fs_of(req);
    parked->what = what;
    parked->answer = answer;
    parked->error.code = NX_OK;
    parked->refused = NX_OK;
    parked->file.fh = 0;
    parked->other_door = false;
    atomic_init(&parked->left, 2);
    return parked;
}

static void fill_entry(struct parked *parked, struct fuse_entry_param *out)
{
    reply_fill_entry(parked->fs, &parked->attr, parked->generation, out);
    if (parked->other_door)
        out->entry_timeout = 0; /* no name is kept there */
}

static void answer_create(struct parked *parked)
{
    struct fuse_entry_param entry;

    fill_entry(parked, &entry);
    handle_publish(parked->fs);
    if (fuse_reply_create(parked->req, &entry, &parked->file) == -ENOENT)
        handle_discard(&parked->file); /* interrupted: the kernel will not release it */
}

static void answer_entry(struct parked *parked)
{
    struct fuse_entry_param entry;

    fill_entry(parked, &entry);
    fuse_reply_entry(parked->req, &entry);
}

static void answer(struct parked *parked)
{
    if (parked->error.code == NX_OK && parked->refused != NX_OK)
        nx_fail(&parked->error, parked->refused, "%s", nx_code_text(parked->refused));
    if (parked->error.code != NX_OK) {
        if (parked->answer == PARKED_CREATE || parked->answer == PARKED_OPEN)
            handle_discard(&parked->file);
        reply_fail(parked->req, parked->what, &parked->error);
        return;
    }
    switch (parked->answer) {
    case PARKED_STATUS:
        fuse_reply_err(parked->req, 0);
        break;
    case PARKED_ENTRY:
        answer_entry(parked);
        break;
    case PARKED_ATTR:
        reply_attr(parked->req, &parked->attr, parked->generation);
        break;
    case PARKED_CREATE:
        answer_create(parked);
        break;
    case PARKED_OPEN:
        handle_reply_open(parked->req, &parked->file);
        break;
    case PARKED_WRITE:
        fuse_reply_write(parked->req, parked->written);
        break;
    }
}

static void end(void *arg)
{
    struct parked *parked = arg;

    answer(parked);
    free(parked);
}

static void drop(struct parked *parked, int count)
{
    if (atomic_fetch_sub_explicit(&parked->left, count, memory_order_acq_rel) != count)
        return;
    if (parked->other_door)
        settle(parked->fs, end, parked);
    else
        end(parked);
}

static void acknowledged(void *arg, const struct nx_err *error)
{
    struct parked *parked = arg;

    if (error)
        parked->error = *error;
    drop(parked, 1);
}

struct nx_change parked_change(struct parked *parked)
{
    const struct fuse_ctx *caller = fuse_req_ctx(parked->req);
    struct fs *fs = parked->fs;

    return (struct nx_change){
        .durability = fs->options.sync ? NX_SYNC : NX_BUFFERED,
        .uid = caller->uid,
        .gid = caller->gid,
        .origin = parked->other_door ? 0 : fs->origin,
        .done = acknowledged,
        .arg = parked,
    };
}

void parked_finish(struct parked *parked, enum nx_code rc, const struct nx_err *err)
{
    parked->generation = atomic_load_explicit(&parked->fs->generation, memory_order_acquire);
    if (rc == NX_OK) {
        drop(parked, 1);
        return;
    }
    parked->error = *err; /* the acknowledgement never comes */
    parked->error.code = rc;
    drop(parked, 2);
}

void parked_finish_done(struct parked *parked, enum nx_code rc, const struct nx_err *err,
                        uint64_t generation)
{
    parked->generation = generation;
    if (rc != NX_OK) {
        parked->error = *err;
        parked->error.code = rc;
    }
    drop(parked, 2);
}

void reply_when_synced(fuse_req_t req, const char *what)
{
    struct parked *parked = parked_new(req, what, PARKED_STATUS);

    if (!parked)
        return;
    nx_engine_sync_async(parked->fs->engine, acknowledged, parked);
    drop(parked, 1);
}
