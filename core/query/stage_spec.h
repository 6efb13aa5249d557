/*
 * stage_spec.h - taking a stage's object apart, and building the stages that others stand for.
 */
#ifndef QUERY_STAGE_SPEC_H
#define QUERY_STAGE_SPEC_H

#include <nexadb/value.h>

#include "query/expr_op.h"

struct spec_member {
    const char *name;
    bool required;
    struct nx_value value; /* MISSING when it was not given */
};

/* NX_EQUERY for a spec that is no object, an unknown member, a required one that is not there. */
enum nx_code spec_members(const char *stage, const struct nx_value *spec,
                          struct spec_member *members, unsigned count, struct nx_err *err);
/* An output field's name: not empty, no dot, no $ in front. */
enum nx_code spec_field_name(const char *stage, const char *name, size_t len, struct nx_err *err);
/* A string "$path" as its parts in `arena`; NX_EQUERY. */
enum nx_code spec_dollar_path(const char *stage, const struct nx_value *value, struct arena *arena,
                              const struct expr_part **parts, unsigned *count, struct nx_err *err);
/* Append `doc` with the value at a path set (made where needed), or with MISSING taken away. */
enum nx_code document_set(struct nx_slice doc, const struct expr_part *parts, unsigned count,
                          const struct nx_value *value, struct nx_buf *out, struct nx_err *err);
/* The value at a path through documents only. */
struct nx_value document_get(struct nx_slice doc, const struct expr_part *parts, unsigned count);

#endif
