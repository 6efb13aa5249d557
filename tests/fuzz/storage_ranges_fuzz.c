/*
 * storage_ranges_fuzz.c - a set of range tombstones answers as the list that it was made from. The
 * input is a list: a byte each for begin, end and sequence.
 */
#include "storage/range_tombstones.h"
#include "tests/fuzz/fuzz.h"

enum { RANGES_MAX = 64 };

/* Keys of one and two bytes, so that prefixes meet: 0 is the empty one. */
static struct nx_slice key_of(uint8_t byte, uint8_t out[2])
{
    out[0] = (uint8_t)(byte >> 1);
    out[1] = 'x';
    return nx_slice(out, byte == 0 ? 0 : byte & 1 ? 2 : 1);
}

static uint64_t cover(const uint8_t *data, size_t count, struct nx_slice key, uint64_t sequence)
{
    uint64_t newest = 0;

    for (size_t i = 0; i < count; i++) {
        uint8_t begin[2], end[2];

        if (nx_slice_compare(key_of(data[3 * i], begin), key) <= 0 &&
            nx_slice_compare(key, key_of(data[3 * i + 1], end)) < 0 &&
            data[3 * i + 2] <= sequence && data[3 * i + 2] > newest)
            newest = data[3 * i + 2];
    }
    return newest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct range_tombstones *set = range_tombstones_new();
    size_t count = size / 3 < RANGES_MAX ? size / 3 : RANGES_MAX;

    CLAIM(set);
    for (size_t i = 0; i < count; i++) {
        uint8_t begin[2], end[2];
        struct range_tombstone range = {key_of(data[3 * i], begin), key_of(data[3 * i + 1], end),
                                        data[3 * i + 2]};

        CLAIM(range_tombstones_add(set, &range, NULL) == NX_OK);
    }
    CLAIM(range_tombstones_seal(set, NULL) == NX_OK);
    for (unsigned k = 0; k < 256; k++) {
        uint8_t bytes[2];
        struct nx_slice key = key_of((uint8_t)k, bytes);

        CLAIM(range_tombstones_cover(set, key, 255) == cover(data, count, key, 255));
        CLAIM(range_tombstones_cover(set, key, 100) == cover(data, count, key, 100));
    }
    for (size_t i = 1; i < range_tombstones_count(set); i++)
        CLAIM(nx_slice_compare(range_tombstones_at(set, i - 1)->end,
                               range_tombstones_at(set, i)->begin) <= 0);
    range_tombstones_free(set);
    return 0;
}
