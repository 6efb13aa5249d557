/* test_scale.h - how much of a test that has no natural end is done: NEXADB_TEST_SCALE, 1 in CI, 10
 * in the full run. */
#ifndef TEST_SCALE_H
#define TEST_SCALE_H

#include <stdint.h>
#include <stdlib.h>

static inline uint64_t test_scale(void)
{
    const char *text = getenv("NEXADB_TEST_SCALE");
    long scale = text ? strtol(text, NULL, 10) : 1;

    return scale > 0 ? (uint64_t)scale : 1;
}

/* A tenth of it where a sanitizer makes everything ten times slower: that run is for what only it
 * finds. */
static inline uint64_t test_count(uint64_t plain)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return plain * test_scale() / 10;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    return plain * test_scale() / 10;
#else
    return plain * test_scale();
#endif
#else
    return plain * test_scale();
#endif
}

#endif
