/*
 * stage_source.c - where documents come from: a collection, or one document in memory.
 */
#include "query/filter.h"
#include "query/pipeline.h"
#include "query/source.h"

/* --- a collection ----------------------------------------------------------------------------- */

struct scan_stage {
    struct stage stage;
    nx_ino ino;
    const struct filter *filter; /* borrowed */
    struct source *source;       /* owned; NULL before the first document and after the last */
    bool done;
};

static enum nx_code open_scan(struct scan_stage *scan, struct nx_err *err)
{
    struct pipeline_context *context = scan->stage.context;
    const struct source_options options = {
        .db = context->db,
        .snapshot = context->snapshot,
        .collection = scan->ino,
        .filter = scan->filter,
        .env = &scan->stage.env,
        .budget = &context->budget,
    };

    stage_bind(&scan->stage, nx_doc_empty, NX_SLICE_NULL);
    return source_open(&options, &scan->source, err);
}

static void reset_scan(struct stage *stage)
{
    struct scan_stage *scan = (struct scan_stage *)stage;

    source_close(scan->source);
    scan->source = NULL;
    scan->done = false;
}

static enum nx_code next_scan(struct stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    struct scan_stage *scan = (struct scan_stage *)stage;
    struct nx_document document;
    enum nx_code rc = NX_OK;

    if (scan->done || scan->ino == 0)
        return NX_DONE;
    if (!scan->source)
        rc = open_scan(scan, err);
    arena_reset(&stage->arena);
    if (rc == NX_OK)
        rc = source_next(scan->source, &document, err);
    if (rc == NX_OK)
        *doc = document.bson;
    if (rc == NX_DONE) {
        reset_scan(stage);
        scan->done = true;
    }
    return rc;
}

const struct stage_class stage_scan = {
    .name = "scan",
    .size = sizeof(struct scan_stage),
    .next = next_scan,
    .reset = reset_scan,
    .close = reset_scan,
    .help = "the documents of a collection",
};

enum nx_code scan_stage_new(struct pipeline_context *context, nx_ino ino, struct stage **out,
                            struct nx_err *err)
{
    enum nx_code rc = stage_new(context, &stage_scan, out, err);

    if (rc == NX_OK)
        ((struct scan_stage *)*out)->ino = ino;
    return rc;
}

void scan_stage_filter(struct stage *stage, const struct filter *filter)
{
    ((struct scan_stage *)stage)->filter = filter;
}

enum nx_code pipeline_collection(struct pipeline_context *context, const struct nx_value *name,
                                 const char *stage, nx_ino *ino, struct nx_err *err)
{
    const struct nx_limits *limits = &context->budget.limits;
    struct nx_attr attr;
    enum nx_code rc;

    *ino = 0;
    if (name->type != NX_TYPE_STRING || name->len == 0)
        return nx_fail(err, NX_EQUERY, "%s wants the name of a collection, not %s", stage,
                       nx_type_name(name->type));
    if (!context->db)
        return nx_fail(err, NX_EQUERY, "%s cannot be used where there are no collections", stage);
    if (limits->may_read && !limits->may_read(limits->arg, (const char *)name->data, name->len))
        return nx_fail(err, NX_EACCES, "%s may not read the collection '%.*s'", stage,
                       (int)(name->len < 200 ? name->len : 200), (const char *)name->data);
    rc = nx_db_collection(context->db, context->snapshot, (const char *)name->data, name->len,
                          &attr, NULL);
    if (rc == NX_OK)
        *ino = attr.ino;
    return NX_OK; /* what does not exist is empty */
}

/* --- one document ----------------------------------------------------------------------------- */

struct single_stage {
    struct stage stage;
    struct nx_slice doc; /* borrowed */
    bool given;
};

static enum nx_code next_single(struct stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    struct single_stage *single = (struct single_stage *)stage;

    (void)err;
    if (single->given)
        return NX_DONE;
    single->given = true;
    *doc = single->doc;
    return NX_OK;
}

static void reset_single(struct stage *stage)
{
    ((struct single_stage *)stage)->given = false;
}

static const struct stage_class stage_single = {
    .name = "document",
    .size = sizeof(struct single_stage),
    .next = next_single,
    .reset = reset_single,
    .help = "one document",
};

enum nx_code single_stage_new(struct pipeline_context *context, struct stage **out,
                              struct nx_err *err)
{
    return stage_new(context, &stage_single, out, err);
}

void single_stage_set(struct stage *stage, struct nx_slice doc)
{
    ((struct single_stage *)stage)->doc = doc;
}
