/*
 * pow10.c - the table of powers, computed with long integers instead of being typed in.
 *
 * Positive powers are exact products of which the top is kept. Negative ones begin with a large
 * power of two that is divided by ten again and again: each quotient is exact but for bits far
 * below the kept ones.
 */
#include "doc/pow10.h"

#include <pthread.h>
#include <stdbool.h>

#define LIMBS 48
#define TOP_BIT 1400 /* of the dividend: 342 divisions by ten take 1,137 bits */

struct big {
    uint32_t limb[LIMBS]; /* least significant first */
};

static struct pow10 table[POW10_MAX - POW10_MIN + 1];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void multiply_by_ten(struct big *big)
{
    uint64_t carry = 0;

    for (int i = 0; i < LIMBS; i++) {
        carry += (uint64_t)big->limb[i] * 10;
        big->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static void divide_by_ten(struct big *big)
{
    uint64_t rest = 0;

    for (int i = LIMBS - 1; i >= 0; i--) {
        rest = rest << 32 | big->limb[i];
        big->limb[i] = (uint32_t)(rest / 10);
        rest %= 10;
    }
}

static int top_bit(const struct big *big)
{
    for (int i = LIMBS - 1; i >= 0; i--)
        if (big->limb[i])
            return i * 32 + 31 - __builtin_clz(big->limb[i]);
    return -1;
}

static bool bit(const struct big *big, int at)
{
    return at >= 0 && (big->limb[at / 32] >> (at % 32) & 1);
}

static bool any_below(const struct big *big, int at)
{
    for (int i = 0; i < at; i++)
        if (bit(big, i))
            return true;
    return false;
}

/* The top 128 bits, one more when something is cut off. */
static struct pow10 top_of(const struct big *big, bool inexact)
{
    struct pow10 p = {0};
    int top = top_bit(big);

    for (int i = 0; i < 64; i++)
        p.high = p.high << 1 | bit(big, top - i);
    for (int i = 64; i < 128; i++)
        p.low = p.low << 1 | bit(big, top - i);
    if (inexact || any_below(big, top - 127))
        p.high += ++p.low == 0;
    return p;
}

static void fill_table(void)
{
    struct big big = {.limb = {1}};

    for (int k = 0; k <= POW10_MAX; k++, multiply_by_ten(&big))
        table[k - POW10_MIN] = top_of(&big, false);
    big = (struct big){0};
    big.limb[TOP_BIT / 32] = 1u << (TOP_BIT % 32);
    for (int k = -1; k >= POW10_MIN; k--) {
        divide_by_ten(&big);
        table[k - POW10_MIN] = top_of(&big, true);
    }
}

const struct pow10 *pow10_get(int k)
{
    pthread_once(&once, fill_table);
    return &table[k - POW10_MIN];
}
