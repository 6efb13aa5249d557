/*
 * pow10.h - powers of ten to 128 bits, for reading and writing doubles.
 *
 * Threads: any; the table is computed once, at the first use.
 */
#ifndef DOC_POW10_H
#define DOC_POW10_H

#include <stdint.h>

#define POW10_MIN (-342) /* below it every 19-digit number reads as 0 */
#define POW10_MAX 324

/* 10^k is about (high * 2^64 + low) * 2^(pow10_log2(k) - 127), rounded up; the top bit of high
 * is 1. */
struct pow10 {
    uint64_t high, low;
};

const struct pow10 *pow10_get(int k); /* POW10_MIN to POW10_MAX */

/* floor(log2(10^k)) */
static inline int pow10_log2(int k)
{
    return (k * 1741647) >> 19;
}

#endif
