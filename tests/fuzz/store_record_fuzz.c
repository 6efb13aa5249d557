/*
 * store_record_fuzz.c - any value of the store is decoded or refused, and what was decoded says the
 * same when it is encoded again. The first byte chooses the record.
 */
#include "store/feed.h"
#include "store/keys.h"
#include "store/record.h"
#include "store/xattr.h"
#include "tests/fuzz/fuzz.h"

/* Decode what `again` has; the caller compares. */
static void try_node(struct nx_slice value)
{
    struct nx_buf again = NX_BUF_INIT;
    struct node node, twice;

    if (node_decode(value, &node)) {
        CLAIM(node_encode(&node, &again) == NX_OK);
        CLAIM(node_decode(nx_buf_slice(&again), &twice));
        CLAIM(twice.kind == node.kind && twice.parent == node.parent && twice.size == node.size &&
              nx_slice_equal(twice.label, node.label) && twice.pieces == node.pieces &&
              nx_slice_equal(twice.tail, node.tail) && node.tail.len <= node.size);
    }
    nx_buf_fini(&again);
}

static void try_counters(struct nx_slice value)
{
    struct nx_buf again = NX_BUF_INIT;
    struct counters counters, twice;

    if (counters_decode(value, &counters)) {
        CLAIM(counters_encode(&counters, &again) == NX_OK);
        CLAIM(counters_decode(nx_buf_slice(&again), &twice));
        CLAIM(twice.documents == counters.documents && twice.ctime_ns == counters.ctime_ns);
    }
    nx_buf_fini(&again);
}

static void try_entry(struct nx_slice value)
{
    struct nx_buf again = NX_BUF_INIT;
    struct entry entry, twice;
    struct nx_slice name;

    if (entry_decode(value, &entry)) {
        CLAIM(entry_encode(&entry, &again) == NX_OK);
        CLAIM(entry_decode(nx_buf_slice(&again), &twice));
        CLAIM(twice.ino == entry.ino && twice.number == entry.number);
    }
    if (listing_decode(value, &entry, &name))
        CLAIM(name.len <= value.len);
    nx_buf_fini(&again);
}

static void try_header(struct nx_slice value)
{
    struct nx_buf again = NX_BUF_INIT;
    struct doc_header header, twice;
    struct nx_slice body, same;

    if (doc_header_decode(value, &header, &body)) {
        CLAIM(body.len <= value.len && doc_body_bytes(&header) <= UINT64_C(1) << 33);
        CLAIM(doc_header_encode(&header, &again) == NX_OK);
        CLAIM(nx_buf_append(&again, body.data, body.len) == NX_OK);
        CLAIM(doc_header_decode(nx_buf_slice(&again), &twice, &same) && nx_slice_equal(same, body));
        CLAIM(twice.ino == header.ino && twice.revision == header.revision);
    }
    nx_buf_fini(&again);
}

static void try_xattr(struct nx_slice value)
{
    if (xattr_is_valid(value)) /* the smallest is a name of one byte and two lengths */
        CLAIM(value.len >= 3 && value.data[0] > 0);
}

static void try_changes(struct nx_slice value)
{
    if (feed_row_is_whole(value))
        CLAIM(value.len > FEED_HEAD_BYTES + 1);
}

static void try_key(struct nx_slice value)
{
    struct nx_slice tail;
    uint64_t number;
    struct key key;

    if (value.len && key_split(value, &number, &tail) && tail.len <= NX_ID_MAX_BYTES) {
        key_of_tail(&key, (enum key_kind)value.data[0], number, tail);
        CLAIM(nx_slice_equal(key_slice(&key), value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(struct nx_slice) = {
        try_node, try_counters, try_entry, try_header, try_key, try_xattr, try_changes,
    };

    if (size)
        tries[data[0] % (sizeof tries / sizeof tries[0])](nx_slice(data + 1, size - 1));
    return 0;
}
