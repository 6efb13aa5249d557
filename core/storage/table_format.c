/*
 * table_format.c - encoding and decoding what is not a data block.
 *
 * Every checksum is seeded with the file's number and the offset, so that a sound block in the
 * wrong place (a misdirected or lost write, a swapped file) fails like a damaged one.
 */
#include "storage/table_format.h"

#include <inttypes.h>
#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/bytes.h"
#include "storage/block.h"
#include "storage/mutation.h"

static const uint8_t magic[8] = {'N', 'X', 'T', 'A', 'B', 'L', 'E', '\n'};

static const char suffix[] = ".table";

void table_name(uint64_t number, char out[TABLE_NAME_BYTES])
{
    snprintf(out, TABLE_NAME_BYTES, "%06" PRIu64 "%s", number, suffix);
}

bool table_name_parse(const char *name, uint64_t *number)
{
    char again[TABLE_NAME_BYTES];
    uint64_t n = 0;
    size_t digits = strspn(name, "0123456789");

    if (digits == 0 || digits > 19 || strcmp(name + digits, suffix) != 0)
        return false;
    for (size_t i = 0; i < digits; i++)
        n = n * 10 + (uint64_t)(name[i] - '0');
    table_name(n, again);
    *number = n;
    return strcmp(again, name) == 0; /* one name a number */
}

/* --- frames ----------------------------------------------------------------------------------- */

uint64_t place_hash(const uint8_t *data, size_t len, uint64_t number, uint64_t offset)
{
    uint64_t seed = number * UINT64_C(0x9e3779b97f4a7c15) ^ (offset + UINT64_C(0x51ed270b));

    if (engine_mutated(PLACELESS_CHECKSUM))
        seed = 0;
    return XXH3_64bits_withSeed(data, len, seed);
}

enum nx_code frame_append(struct codec *codec, struct nx_slice raw, uint64_t number,
                          uint64_t offset, struct nx_buf *out)
{
    size_t start = out->len;
    uint8_t method, *frame;
    enum nx_code rc = codec_compress(codec, raw, out, &method);

    if (rc == NX_OK)
        rc = nx_buf_resize(out, out->len + FRAME_BYTES);
    if (rc != NX_OK)
        return rc;
    frame = out->data + out->len - FRAME_BYTES;
    put_u32le(frame, (uint32_t)raw.len);
    frame[4] = method;
    put_u64le(frame + 5, place_hash(out->data + start, out->len - start - 8, number, offset));
    return NX_OK;
}

const char *frame_check(struct nx_slice framed, uint64_t number, uint64_t offset,
                        struct nx_slice *payload, uint8_t *method, uint32_t *raw_len)
{
    const uint8_t *frame;

    if (framed.len < FRAME_BYTES)
        return "shorter than its frame";
    frame = framed.data + framed.len - FRAME_BYTES;
    if (get_u64le(frame + 5) != place_hash(framed.data, framed.len - 8, number, offset) &&
        !engine_mutated(SKIP_CHECKSUM))
        return "the checksum does not match";
    *raw_len = get_u32le(frame);
    *method = frame[4];
    *payload = nx_slice(framed.data, framed.len - FRAME_BYTES);
    return NULL;
}

/* --- footer ----------------------------------------------------------------------------------- */

void footer_put(const struct table_footer *footer, uint64_t offset, uint8_t out[FOOTER_BYTES])
{
    memcpy(out, magic, sizeof magic);
    put_u32le(out + 8, TABLE_VERSION);
    put_u32le(out + 12, FOOTER_BYTES);
    put_u64le(out + 16, footer->number);
    put_u64le(out + 24, footer->data_bytes);
    for (int i = 0; i < PART_COUNT; i++)
        put_u64le(out + 32 + 8 * i, footer->part_bytes[i]);
    put_u64le(out + 64, place_hash(out, 64, footer->number, offset));
}

_Static_assert(32 + 8 * PART_COUNT + 8 == FOOTER_BYTES, "the footer holds every part's length");

static enum nx_code bad_footer(uint64_t number, uint64_t offset, const char *wrong,
                               struct nx_err *err)
{
    char name[TABLE_NAME_BYTES];

    table_name(number, name);
    return nx_fail(err, NX_ECORRUPT, "%s, footer at %" PRIu64 ": %s", name, offset, wrong);
}

/* The parts must fill the file exactly. */
static bool parts_fill(const struct table_footer *footer, uint64_t bytes)
{
    if (footer->data_bytes > bytes)
        return false;
    bytes -= footer->data_bytes;
    for (int i = 0; i < PART_COUNT; i++) {
        if (footer->part_bytes[i] > bytes)
            return false;
        bytes -= footer->part_bytes[i];
    }
    return bytes == 0;
}

enum nx_code footer_get(const uint8_t in[FOOTER_BYTES], uint64_t number, uint64_t file_bytes,
                        struct table_footer *out, struct nx_err *err)
{
    uint64_t offset = file_bytes - FOOTER_BYTES;

    if (memcmp(in, magic, sizeof magic) != 0)
        return bad_footer(number, offset, "no table's mark", err);
    if (get_u64le(in + 64) != place_hash(in, 64, get_u64le(in + 16), offset))
        return bad_footer(number, offset, "the checksum does not match", err);
    if (get_u32le(in + 8) != TABLE_VERSION || get_u32le(in + 12) != FOOTER_BYTES) {
        bad_footer(number, offset, "of another version", err);
        if (err)
            err->code = NX_EVERSION;
        return NX_EVERSION;
    }
    out->number = get_u64le(in + 16);
    out->data_bytes = get_u64le(in + 24);
    for (int i = 0; i < PART_COUNT; i++)
        out->part_bytes[i] = get_u64le(in + 32 + 8 * i);
    if (out->number != number)
        return bad_footer(number, offset, "of another table", err);
    if (!parts_fill(out, offset))
        return bad_footer(number, offset, "its parts do not fill the file", err);
    return NX_OK;
}

/* --- properties ------------------------------------------------------------------------------- */

#define FACT_WORDS 9

enum nx_code facts_append(const struct table_facts *facts, struct nx_buf *out)
{
    const struct table_props *p = &facts->props;
    const uint64_t words[FACT_WORDS] = {
        p->entries,      p->deletes,  p->ranges,     p->raw_bytes,       p->min_sequence,
        p->max_sequence, facts->keys, facts->blocks, p->largest_is_open,
    };
    uint8_t bytes[8 * FACT_WORDS + 4];
    enum nx_code rc;

    for (int i = 0; i < FACT_WORDS; i++)
        put_u64le(bytes + 8 * i, words[i]);
    put_u16le(bytes + 8 * FACT_WORDS, (uint16_t)p->smallest.len);
    put_u16le(bytes + 8 * FACT_WORDS + 2, (uint16_t)p->largest.len);
    rc = nx_buf_append(out, bytes, sizeof bytes);
    if (rc == NX_OK)
        rc = nx_buf_append(out, p->smallest.data, p->smallest.len);
    if (rc == NX_OK)
        rc = nx_buf_append(out, p->largest.data, p->largest.len);
    return rc;
}

bool facts_get(struct nx_slice bytes, struct table_facts *out)
{
    struct table_props *p = &out->props;
    size_t fixed = 8 * FACT_WORDS + 4, smallest, largest;
    uint64_t words[FACT_WORDS];

    if (bytes.len < fixed)
        return false;
    for (int i = 0; i < FACT_WORDS; i++)
        words[i] = get_u64le(bytes.data + 8 * i);
    smallest = get_u16le(bytes.data + 8 * FACT_WORDS);
    largest = get_u16le(bytes.data + 8 * FACT_WORDS + 2);
    if (bytes.len != fixed + smallest + largest || smallest > KEY_MAX_BYTES ||
        largest > KEY_MAX_BYTES)
        return false;
    *out = (struct table_facts){.keys = words[6], .blocks = words[7]};
    p->entries = words[0];
    p->deletes = words[1];
    p->ranges = words[2];
    p->raw_bytes = words[3];
    p->min_sequence = words[4];
    p->max_sequence = words[5];
    p->largest_is_open = words[8] != 0;
    p->smallest = nx_slice(bytes.data + fixed, smallest);
    p->largest = nx_slice(bytes.data + fixed + smallest, largest);
    return words[8] <= 1 && p->deletes <= p->entries && out->keys <= p->entries &&
           out->blocks <= p->entries && p->min_sequence <= p->max_sequence &&
           p->max_sequence <= SEQUENCE_MAX && nx_slice_compare(p->smallest, p->largest) <= 0;
}
