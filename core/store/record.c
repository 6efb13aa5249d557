/* record.c - encoding and decoding the values of record.h. Numbers are varints where they are
 * mostly small, times are one full number and two differences to it. */
#include "store/record.h"

#include "base/bytes.h"
#include "doc/layout.h"

/* The numbers are on disk. */
_Static_assert(NX_KIND_DOCUMENT == 0 && NX_KIND_DRAFT == 1 && NX_KIND_COLLECTION == 2 &&
                   NX_KIND_ROOT == 3 && NX_KIND_DIRECTORY == 4 && NX_KIND_FILE == 5 &&
                   NX_KIND_SYMLINK == 6 && NX_KIND_FIFO == 7 && NX_KIND_SOCKET == 8 &&
                   NX_KIND_CHARDEV == 9 && NX_KIND_BLOCKDEV == 10,
               "FORMAT.md lists these");

/* --- a value being written: room for the fixed part of any record -------------------------------
 */

struct writer {
    uint8_t data[128];
    size_t len;
};

static void put_byte(struct writer *w, uint8_t v)
{
    w->data[w->len++] = v;
}

static void put_number(struct writer *w, uint64_t v)
{
    w->len += put_varint(w->data + w->len, v);
}

static void put_i64(struct writer *w, int64_t v)
{
    put_u64le(w->data + w->len, (uint64_t)v);
    w->len += 8;
}

/* Zigzag, in unsigned arithmetic: any two times have a difference. */
static void put_difference(struct writer *w, int64_t v, int64_t base)
{
    uint64_t d = (uint64_t)v - (uint64_t)base;

    put_number(w, d << 1 ^ (0 - (d >> 63)));
}

static void put_mode(struct writer *w, uint32_t mode)
{
    put_u16le(w->data + w->len, (uint16_t)(mode & 07777));
    w->len += 2;
}

static enum nx_code finish(const struct writer *w, struct nx_slice tail, struct nx_buf *out)
{
    enum nx_code rc = nx_buf_reserve(out, w->len + tail.len);

    if (rc != NX_OK)
        return rc;
    nx_buf_append(out, w->data, w->len);
    return nx_buf_append(out, tail.data, tail.len);
}

/* --- a value being read: `at` is NULL once something did not fit ---------------------------------
 */

struct reader {
    const uint8_t *at, *end;
};

static uint8_t take_byte(struct reader *r)
{
    if (!r->at || r->at == r->end) {
        r->at = NULL;
        return 0;
    }
    return *r->at++;
}

static uint64_t take_number(struct reader *r)
{
    uint64_t v = 0;

    if (r->at)
        r->at = get_varint(r->at, r->end, &v);
    return v;
}

static uint32_t take_u32(struct reader *r)
{
    uint64_t v = take_number(r);

    if (v > UINT32_MAX)
        r->at = NULL;
    return (uint32_t)v;
}

static int64_t take_i64(struct reader *r)
{
    int64_t v;

    if (!r->at || r->end - r->at < 8) {
        r->at = NULL;
        return 0;
    }
    v = (int64_t)get_u64le(r->at);
    r->at += 8;
    return v;
}

static int64_t take_difference(struct reader *r, int64_t base)
{
    uint64_t z = take_number(r);

    return (int64_t)((uint64_t)base + (z >> 1 ^ (0 - (z & 1))));
}

static uint32_t take_mode(struct reader *r)
{
    uint32_t v;

    if (!r->at || r->end - r->at < 2) {
        r->at = NULL;
        return 0;
    }
    v = get_u16le(r->at) & 07777u;
    r->at += 2;
    return v;
}

static enum nx_kind take_kind(struct reader *r)
{
    uint8_t v = take_byte(r);

    if (v > NX_KIND_BLOCKDEV)
        r->at = NULL;
    return (enum nx_kind)v;
}

static struct nx_slice rest(const struct reader *r)
{
    return r->at ? nx_slice(r->at, (size_t)(r->end - r->at)) : NX_SLICE_NULL;
}

/* --- node ------------------------------------------------------------------------------------- */

enum nx_code node_encode(const struct node *node, struct nx_buf *out)
{
    struct writer w = {.len = 0};

    put_byte(&w, (uint8_t)node->kind);
    put_byte(&w, node->flags);
    put_number(&w, node->parent);
    if (node->kind == NX_KIND_DOCUMENT)
        return finish(&w, node->label, out);
    put_mode(&w, node->mode);
    put_number(&w, node->uid);
    put_number(&w, node->gid);
    put_number(&w, node->nlink);
    put_number(&w, node->rdev);
    put_number(&w, node->size);
    put_i64(&w, node->mtime_ns);
    put_difference(&w, node->atime_ns, node->mtime_ns);
    put_difference(&w, node->ctime_ns, node->mtime_ns);
    if (node->kind != NX_KIND_FILE)
        return finish(&w, node->label, out);
    put_number(&w, node->pieces);
    return finish(&w, node->tail, out);
}

static void take_data(struct reader *r, struct node *out)
{
    out->pieces = take_number(r);
    out->tail = rest(r);
    if (out->tail.len > TAIL_MAX_BYTES || out->tail.len > out->size ||
        out->pieces > chunk_count(out->size))
        r->at = NULL;
}

bool node_decode(struct nx_slice value, struct node *out)
{
    struct reader r = {value.data, value.data + value.len};

    *out = (struct node){0};
    out->kind = take_kind(&r);
    out->flags = take_byte(&r);
    out->parent = take_number(&r);
    if (out->kind != NX_KIND_DOCUMENT) {
        out->mode = take_mode(&r);
        out->uid = take_u32(&r);
        out->gid = take_u32(&r);
        out->nlink = take_u32(&r);
        out->rdev = take_number(&r);
        out->size = take_number(&r);
        out->mtime_ns = take_i64(&r);
        out->atime_ns = take_difference(&r, out->mtime_ns);
        out->ctime_ns = take_difference(&r, out->mtime_ns);
    }
    if (out->kind == NX_KIND_FILE)
        take_data(&r, out);
    else
        out->label = rest(&r);
    return r.at != NULL;
}

/* --- counters --------------------------------------------------------------------------------- */

enum nx_code counters_encode(const struct counters *counters, struct nx_buf *out)
{
    struct writer w = {.len = 0};

    put_number(&w, counters->documents);
    put_number(&w, counters->drafts);
    put_number(&w, counters->entries);
    put_number(&w, counters->subdirectories);
    put_i64(&w, counters->mtime_ns);
    put_difference(&w, counters->ctime_ns, counters->mtime_ns);
    return finish(&w, NX_SLICE_NULL, out);
}

bool counters_decode(struct nx_slice value, struct counters *out)
{
    struct reader r = {value.data, value.data + value.len};

    out->documents = take_number(&r);
    out->drafts = take_number(&r);
    out->entries = take_number(&r);
    out->subdirectories = take_number(&r);
    out->mtime_ns = take_i64(&r);
    out->ctime_ns = take_difference(&r, out->mtime_ns);
    return r.at == r.end;
}

/* --- entry ------------------------------------------------------------------------------------ */

enum nx_code entry_encode(const struct entry *entry, struct nx_buf *out)
{
    struct writer w = {.len = 0};

    put_number(&w, entry->number);
    put_number(&w, entry->ino);
    put_byte(&w, (uint8_t)entry->kind);
    return finish(&w, NX_SLICE_NULL, out);
}

bool entry_decode(struct nx_slice value, struct entry *out)
{
    struct reader r = {value.data, value.data + value.len};

    out->number = take_number(&r);
    out->ino = take_number(&r);
    out->kind = take_kind(&r);
    return r.at == r.end;
}

enum nx_code listing_encode(const struct entry *entry, struct nx_slice name, struct nx_buf *out)
{
    struct writer w = {.len = 0};

    put_number(&w, entry->ino);
    put_byte(&w, (uint8_t)entry->kind);
    return finish(&w, name, out);
}

bool listing_decode(struct nx_slice value, struct entry *out, struct nx_slice *name)
{
    struct reader r = {value.data, value.data + value.len};

    out->ino = take_number(&r);
    out->kind = take_kind(&r);
    *name = rest(&r);
    return name->len > 0;
}

/* --- document --------------------------------------------------------------------------------- */

enum nx_code doc_header_encode(const struct doc_header *header, struct nx_buf *out)
{
    struct writer w = {.len = 0};

    put_byte(&w, header->flags);
    put_byte(&w, header->layout);
    put_mode(&w, header->mode);
    put_number(&w, header->uid);
    put_number(&w, header->gid);
    put_number(&w, header->ino);
    put_number(&w, header->revision);
    put_i64(&w, header->mtime_ns);
    put_difference(&w, header->atime_ns, header->mtime_ns);
    put_difference(&w, header->ctime_ns, header->mtime_ns);
    put_number(&w, header->text_bytes);
    put_number(&w, header->bson_bytes);
    return finish(&w, NX_SLICE_NULL, out);
}

bool doc_header_decode(struct nx_slice value, struct doc_header *out, struct nx_slice *body)
{
    struct reader r = {value.data, value.data + value.len};

    out->flags = take_byte(&r);
    out->layout = take_byte(&r);
    out->mode = take_mode(&r);
    out->uid = take_u32(&r);
    out->gid = take_u32(&r);
    out->ino = take_number(&r);
    out->revision = take_number(&r);
    out->mtime_ns = take_i64(&r);
    out->atime_ns = take_difference(&r, out->mtime_ns);
    out->ctime_ns = take_difference(&r, out->mtime_ns);
    out->text_bytes = take_u32(&r);
    out->bson_bytes = take_u32(&r);
    if (!r.at)
        return false;
    *body = rest(&r);
    return body->len == (out->flags & DOC_LARGE ? 0 : doc_body_bytes(out));
}

uint64_t doc_body_bytes(const struct doc_header *header)
{
    if (header->flags & DOC_DRAFT)
        return 0;
    return (uint64_t)header->bson_bytes +
           (header->layout == LAYOUT_SOURCE ? header->text_bytes : 0);
}

void doc_header_attr(const struct doc_header *header, nx_ino collection, struct nx_attr *out)
{
    *out = (struct nx_attr){
        .ino = header->ino,
        .parent = collection,
        .kind = header->flags & DOC_DRAFT ? NX_KIND_DRAFT : NX_KIND_DOCUMENT,
        .mode = header->mode,
        .uid = header->uid,
        .gid = header->gid,
        .nlink = 1,
        .size = header->text_bytes,
        .stored = header->text_bytes,
        .atime_ns = header->atime_ns,
        .mtime_ns = header->mtime_ns,
        .ctime_ns = header->ctime_ns,
        .revision = header->revision,
    };
}
