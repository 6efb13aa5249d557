/*
 * mutation_switch.c - linked into the storage tests: NEXADB_MUTATION=N leaves one safety step out
 * for the whole run, "count" says how many there are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/mutation.h"

__attribute__((constructor)) static void choose_mutation(void)
{
    const char *text = getenv("NEXADB_MUTATION");

    if (!text)
        return;
    if (strcmp(text, "count") == 0) {
        printf("%d\n", MUTATION_COUNT - 1);
        exit(0);
    }
#ifdef NX_DEBUG
    engine_mutate((enum engine_mutation)atoi(text));
#endif
}
