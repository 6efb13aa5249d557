/* memory_file.h - an nx_file over a buffer that a test can damage, and small test tools. */
#ifndef TESTS_STORAGE_MEMORY_FILE_H
#define TESTS_STORAGE_MEMORY_FILE_H

#include <nexadb/buf.h>
#include <nexadb/io.h>

struct memory_file {
    struct nx_file base;
    struct nx_buf bytes;
    int reads;         /* pread calls */
    int fail_write_in; /* counts down; the call that reaches 0 fails. 0: never */
};

void memory_file_init(struct memory_file *file);
void memory_file_fini(struct memory_file *file);

uint64_t test_random(uint64_t *state); /* xorshift: state is not 0 */

#endif
