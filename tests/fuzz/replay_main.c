/*
 * replay_main.c - runs a fuzz target without a fuzzer: over the files given as arguments, and over
 * some hundred changed copies of each, the same ones every time.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"

#define COPIES 300
#define MAX_BYTES (1u << 20)

static uint64_t state = 0x9e3779b97f4a7c15ULL;

static uint32_t next(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 32) * below >> 32);
}

/* Run over a copy of exactly `size` bytes, so that a sanitizer sees a read past them. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    CLAIM(copy);
    if (size)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

/* Change, cut or repeat some bytes; `data` has room for twice MAX_BYTES. */
static size_t change(uint8_t *data, size_t size)
{
    static const char likely[] = "{}[]\",:\\u0123456789eE.+-tfn$%/ \n";
    size_t from, len;

    if (size == 0)
        return 0;
    from = next((uint32_t)size);
    len = 1 + next((uint32_t)(size - from));
    switch (next(5)) {
    case 0:
        data[from] = (uint8_t)next(256);
        return size;
    case 1:
        data[from] = (uint8_t)likely[next(sizeof likely - 1)];
        return size;
    case 2:
        data[from] ^= (uint8_t)(1u << next(8));
        return size;
    case 3:
        memmove(data + from, data + from + len, size - from - len);
        return size - len;
    default:
        if (size + len > 2 * MAX_BYTES)
            return size;
        memmove(data + from + len, data + from, size - from);
        return size + len;
    }
}

static void replay(const char *path)
{
    uint8_t *data = malloc(2 * MAX_BYTES), *copy = malloc(2 * MAX_BYTES);
    FILE *file = fopen(path, "rb");
    size_t size;

    if (!file || !data || !copy) {
        perror(path);
        exit(1);
    }
    size = fread(data, 1, MAX_BYTES, file);
    fclose(file);
    run(data, size);
    for (int i = 0; i < COPIES; i++) {
        size_t n = size;

        memcpy(copy, data, size);
        for (uint32_t changes = 1 + next(4); changes > 0; changes--)
            n = change(copy, n);
        run(copy, n);
    }
    free(data);
    free(copy);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    return argc > 1 ? 0 : 2;
}
