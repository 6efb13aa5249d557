/*
 * pipeline_fuzz.c - any pipeline is parsed or refused, and one that is parsed ends over any
 * document: within its limits of time and memory. The input is JSON: {"pipeline": [...], "doc":
 * {...}}.
 */
#include <nexadb/io.h>
#include <nexadb/json.h>

#include "query/pipeline.h"
#include "tests/fuzz/fuzz.h"

enum { DOCUMENTS_MAX = 200 };

static void run(struct pipeline_context *context, struct pipeline *pipeline, struct nx_slice doc)
{
    struct nx_err err = NX_ERR_INIT;
    struct stage *single;
    struct nx_slice out;
    enum nx_code rc = NX_OK;

    if (pipeline_writes(pipeline) || pipeline_has_own_source(pipeline) ||
        pipeline_context_ready(context, &err) != NX_OK)
        return;
    CLAIM(single_stage_new(context, &single, &err) == NX_OK);
    single_stage_set(single, doc);
    pipeline_connect(pipeline, single);
    for (int i = 0; i < DOCUMENTS_MAX && rc == NX_OK; i++) {
        rc = pipeline_next(pipeline, &out, &err);
        CLAIM(rc != NX_OK || nx_doc_check(out, NULL) == NX_OK || out.len > 0);
    }
    CLAIM(rc == NX_OK || rc == NX_DONE || err.message[0]);
    stage_free(single);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct nx_limits limits = {.memory_bytes = 1 << 20, .time_ms = 500, .read_only = true};
    struct nx_buf bson = NX_BUF_INIT;
    struct pipeline_context context;
    struct pipeline *pipeline;
    struct nx_err err = NX_ERR_INIT;
    struct nx_value stages, doc;
    bool is_array;

    if (nx_json_parse((const char *)data, size, NX_JSON_QUERY, 1u << 16, &bson, &is_array, NULL) ==
            NX_OK &&
        !is_array) {
        stages = nx_doc_get_z(nx_buf_slice(&bson), "pipeline");
        doc = nx_doc_get_z(nx_buf_slice(&bson), "doc");
        CLAIM(pipeline_context_init(&context, NULL, NULL, &limits, nx_io_posix(), &err) == NX_OK);
        if (stages.type == NX_TYPE_ARRAY && pipeline_parse(&context, nx_value_slice(&stages),
                                                           PLACE_TOP, &pipeline, &err) == NX_OK) {
            run(&context, pipeline,
                doc.type == NX_TYPE_DOCUMENT ? nx_value_slice(&doc) : nx_doc_empty);
            pipeline_free(pipeline);
        }
        pipeline_context_fini(&context);
    }
    nx_buf_fini(&bson);
    return 0;
}
