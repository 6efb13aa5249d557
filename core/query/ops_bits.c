/*
 * ops_bits.c - $bitsAllSet, $bitsAnySet, $bitsAllClear, $bitsAnyClear.
 *
 * The operand is a mask (a number or binary data) or a list of bit positions, 0 being the lowest. A
 * number is as wide as it takes: its sign goes on for ever. Binary data ends in zeros.
 */
#include <stdlib.h>

#include "query/filter_node.h"

#define BITS_MAX_POSITION INT32_MAX

static int compare_positions(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static enum nx_code positions_of_list(struct filter_parser *parser, const struct nx_value *arg,
                                      struct pred *out)
{
    struct nx_doc_iter iter;
    int64_t position;

    out->bits.positions =
        calloc(nx_doc_count(nx_value_slice(arg)) + 1, sizeof *out->bits.positions);
    if (!out->bits.positions)
        return nx_fail_nomem(parser->err);
    nx_doc_iter_init(&iter, nx_value_slice(arg));
    while (nx_doc_iter_next(&iter)) {
        if (!nx_value_to_int64(&iter.value, &position) || position < 0 ||
            position > BITS_MAX_POSITION)
            return nx_fail(parser->err, NX_EQUERY,
                           "%s: bit position %s is not a whole number from 0 to %d", out->op->name,
                           iter.key, BITS_MAX_POSITION);
        out->bits.positions[out->bits.count++] = (uint32_t)position;
    }
    qsort(out->bits.positions, out->bits.count, sizeof *out->bits.positions, compare_positions);
    return NX_OK;
}

static bool bit_of_bytes(const uint8_t *bytes, size_t len, uint32_t position)
{
    return position / 8 < len && ((bytes[position / 8] >> (position % 8)) & 1);
}

static enum nx_code positions_of_mask(struct filter_parser *parser, const uint8_t *mask, size_t len,
                                      struct pred *out)
{
    size_t bits = 8 * len;

    out->bits.positions = calloc(bits + 1, sizeof *out->bits.positions);
    if (!out->bits.positions)
        return nx_fail_nomem(parser->err);
    for (size_t i = 0; i < bits; i++)
        if (bit_of_bytes(mask, len, (uint32_t)i))
            out->bits.positions[out->bits.count++] = (uint32_t)i;
    return NX_OK;
}

static enum nx_code parse_bits(struct filter_parser *parser, const struct nx_value *arg,
                               struct pred *out)
{
    uint8_t bytes[8];
    int64_t mask;

    if (arg->type == NX_TYPE_ARRAY)
        return positions_of_list(parser, arg, out);
    if (arg->type == NX_TYPE_BINARY)
        return positions_of_mask(parser, arg->data, arg->len, out);
    if (!nx_value_to_int64(arg, &mask) || mask < 0)
        return nx_fail(parser->err, NX_EQUERY,
                       "%s needs a mask of zero or more, binary data, or a list of positions",
                       out->op->name);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)((uint64_t)mask >> (8 * i));
    return positions_of_mask(parser, bytes, sizeof bytes, out);
}

static void fini_bits(struct pred *pred)
{
    free(pred->bits.positions);
}

/* How many of the mask's bits are set; false when the value has no bits. */
static bool count_set(const struct pred *pred, const struct nx_value *value, uint32_t *set)
{
    int64_t number = 0;
    bool is_binary = value->type == NX_TYPE_BINARY;

    *set = 0;
    if (!is_binary && !nx_value_to_int64(value, &number))
        return false;
    for (uint32_t i = 0; i < pred->bits.count; i++) {
        uint32_t position = pred->bits.positions[i];

        if (is_binary)
            *set += bit_of_bytes(value->data, value->len, position);
        else
            *set += (uint64_t)(number >> (position < 63 ? position : 63)) & 1;
    }
    return true;
}

static bool test_all_set(const struct pred *pred, const struct nx_value *value, struct match *match)
{
    uint32_t set;

    (void)match;
    return count_set(pred, value, &set) && set == pred->bits.count;
}

static bool test_any_set(const struct pred *pred, const struct nx_value *value, struct match *match)
{
    uint32_t set;

    (void)match;
    return count_set(pred, value, &set) && set > 0;
}

static bool test_all_clear(const struct pred *pred, const struct nx_value *value,
                           struct match *match)
{
    uint32_t set;

    (void)match;
    return count_set(pred, value, &set) && set == 0;
}

static bool test_any_clear(const struct pred *pred, const struct nx_value *value,
                           struct match *match)
{
    uint32_t set;

    (void)match;
    return count_set(pred, value, &set) && set < pred->bits.count;
}

const struct filter_op filter_ops_bits[] = {
    {"$bitsAllClear", PLACE_FIELD, 0, RANGE_NONE, parse_bits, test_all_clear, fini_bits, NULL,
     "every bit of the mask is 0"},
    {"$bitsAllSet", PLACE_FIELD, 0, RANGE_NONE, parse_bits, test_all_set, fini_bits, NULL,
     "every bit of the mask is 1"},
    {"$bitsAnyClear", PLACE_FIELD, 0, RANGE_NONE, parse_bits, test_any_clear, fini_bits, NULL,
     "at least one bit of the mask is 0"},
    {"$bitsAnySet", PLACE_FIELD, 0, RANGE_NONE, parse_bits, test_any_set, fini_bits, NULL,
     "at least one bit of the mask is 1"},
    {.name = NULL},
};
