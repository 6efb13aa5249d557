/*
 * find_text_fuzz.c - any path below `.find/` is refused with a reason or becomes BSON that holds
 * together. The input is the path: components between slashes.
 */
#include <string.h>

#include "fs/find_text.h"
#include "tests/fuzz/fuzz.h"

static void is_sound(const struct nx_buf *bson)
{
    CLAIM(bson->len == 0 || nx_doc_check(nx_buf_slice(bson), NULL) == NX_OK);
}

static void check(const struct find_query *query)
{
    struct nx_buf filter = NX_BUF_INIT;
    struct find_query copy;

    CLAIM(find_text_copy(query, &copy, NULL) == NX_OK);
    CLAIM(find_text_filter(&copy, &filter, NULL) == NX_OK);
    CLAIM((filter.len == 0) == (query->filters.len == 0));
    CLAIM(query->filters.len + query->sort.len + query->projection.len <= FIND_QUERY_MAX);
    is_sound(&query->sort);
    is_sound(&query->projection);
    nx_buf_fini(&filter);
    find_text_fini(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct find_query query = {0};
    char *path = malloc(size + 1), *rest = path, *component;
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc = NX_OK;

    CLAIM(path);
    if (size)
        memcpy(path, data, size);
    path[size] = 0;
    while (rc == NX_OK && (component = strsep(&rest, "/"))) {
        if (find_text_kind(component) != FIND_IS_QUERY)
            continue;
        rc = find_text_add(&query, component, &err);
        if (rc == NX_OK)
            check(&query);
        else
            CLAIM(err.message[0]);
    }
    find_text_fini(&query);
    free(path);
    return 0;
}
