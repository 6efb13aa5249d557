/*
 * query_fuzz.c - any filter, projection, sort and update is parsed or refused, and what is parsed
 * bears any document. The input is JSON: {"filter", "projection", "sort", "update", "arrayFilters",
 * "doc"}.
 */
#include <string.h>

#include <nexadb/io.h>
#include <nexadb/json.h>

#include "query/expr.h"
#include "query/filter.h"
#include "query/projection.h"
#include "query/sort.h"
#include "query/update.h"
#include "tests/fuzz/fuzz.h"

struct fuzz {
    struct nx_slice input;
    struct nx_slice doc;
    struct filter *filter;
    struct expr_env env;
};

static struct nx_slice member(const struct fuzz *fuzz, const char *name)
{
    struct nx_value value = nx_doc_get_z(fuzz->input, name);

    return value.type == NX_TYPE_DOCUMENT || value.type == NX_TYPE_ARRAY ? nx_value_slice(&value)
                                                                         : NX_SLICE_NULL;
}

static void try_filter(struct fuzz *fuzz)
{
    struct nx_err err = NX_ERR_INIT;
    bool first = false, second = true;

    if (filter_parse(member(fuzz, "filter"), NULL, &fuzz->filter, &err) != NX_OK) {
        CLAIM(!fuzz->filter && err.message[0]);
        return;
    }
    if (filter_match(fuzz->filter, fuzz->doc, &fuzz->env, &first, &err) != NX_OK)
        return;
    CLAIM(filter_match(fuzz->filter, fuzz->doc, &fuzz->env, &second, &err) == NX_OK);
    CLAIM(first == second || strstr((const char *)fuzz->input.data, "$rand"));
}

static void try_projection(struct fuzz *fuzz)
{
    struct projection *projection;
    struct nx_buf out = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;

    fuzz->env.root = fuzz->doc;
    if (projection_parse(member(fuzz, "projection"), PROJECTION_FIND, NULL, fuzz->filter,
                         &projection, &err) != NX_OK) {
        CLAIM(!projection && err.message[0]);
        return;
    }
    if (projection_apply(projection, &fuzz->env, &out, &err) == NX_OK)
        nx_doc_count(nx_buf_slice(&out));
    nx_buf_fini(&out);
    projection_free(projection);
}

static void try_sort(struct fuzz *fuzz)
{
    struct sort_spec *spec;
    struct nx_err err = NX_ERR_INIT;
    struct nx_slice sort = member(fuzz, "sort");

    if (sort_spec_parse(sort.len ? sort : nx_doc_empty, &spec, &err) != NX_OK) {
        CLAIM(!spec && err.message[0]);
        return;
    }
    CLAIM(sort_spec_compare(spec, fuzz->doc, fuzz->doc) == 0);
    sort_spec_free(spec);
}

static void try_update(struct fuzz *fuzz)
{
    struct nx_value spec = nx_doc_get_z(fuzz->input, "update");
    struct update_run run = {.filter = fuzz->filter, .env = &fuzz->env};
    struct update *update;
    struct nx_buf out = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;

    fuzz->env.root = fuzz->doc;
    if (update_parse(member(fuzz, "update"), spec.type == NX_TYPE_ARRAY,
                     member(fuzz, "arrayFilters"), &update, &err) != NX_OK) {
        CLAIM(!update && err.message[0]);
        return;
    }
    if (update_apply(update, fuzz->doc, &run, &out, &err) == NX_OK)
        CLAIM(nx_doc_check(nx_buf_slice(&out), &err) == NX_OK || strstr(err.message, "deep") ||
              strstr(err.message, "nest"));
    nx_buf_clear(&out);
    if (fuzz->filter)
        (void)update_upsert(update, fuzz->filter, &fuzz->env, &out, &err);
    nx_buf_fini(&out);
    update_free(update);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_buf bson = NX_BUF_INIT;
    struct arena arena = ARENA_INIT;
    struct nx_value now = nx_date(0);
    struct fuzz fuzz = {.doc = nx_doc_empty};
    bool is_array;

    if (nx_json_parse((const char *)data, size, NX_JSON_QUERY, 1u << 16, &bson, &is_array, NULL) ==
        NX_OK) {
        fuzz.input = nx_buf_slice(&bson);
        fuzz.env = (struct expr_env){.arena = &arena, .now = &now, .io = nx_io_posix()};
        if (nx_doc_get_z(fuzz.input, "doc").type == NX_TYPE_DOCUMENT)
            fuzz.doc = member(&fuzz, "doc");
        try_filter(&fuzz);
        try_projection(&fuzz);
        try_sort(&fuzz);
        try_update(&fuzz);
        filter_free(fuzz.filter);
    }
    arena_fini(&arena);
    nx_buf_fini(&bson);
    return 0;
}
