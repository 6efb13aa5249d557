/*
 * stage_spec.c - the members of stage objects, and documents with one value changed.
 */
#include "query/stage_spec.h"

enum nx_code spec_members(const char *stage, const struct nx_value *spec,
                          struct spec_member *members, unsigned count, struct nx_err *err)
{
    struct nx_doc_iter iter;

    if (spec->type != NX_TYPE_DOCUMENT)
        return nx_fail(err, NX_EQUERY, "%s wants an object, not %s", stage,
                       nx_type_name(spec->type));
    nx_doc_iter_init(&iter, nx_value_slice(spec));
    while (nx_doc_iter_next(&iter)) {
        unsigned i = 0;

        while (i < count && strcmp(members[i].name, iter.key) != 0)
            i++;
        if (i == count)
            return nx_fail(err, NX_EQUERY, "%s has no member '%.100s'", stage, iter.key);
        members[i].value = iter.value;
    }
    for (unsigned i = 0; i < count; i++)
        if (members[i].required && members[i].value.type == NX_TYPE_MISSING)
            return nx_fail(err, NX_EQUERY, "%s wants the member '%s'", stage, members[i].name);
    return NX_OK;
}

enum nx_code spec_field_name(const char *stage, const char *name, size_t len, struct nx_err *err)
{
    if (len && name[0] != '$' && !memchr(name, '.', len) && !memchr(name, 0, len))
        return NX_OK;
    return nx_fail(
        err, NX_EQUERY,
        "%s cannot make a field '%.*s': a name is not empty, has no dot and no $ in front", stage,
        (int)(len < 100 ? len : 100), name);
}

enum nx_code spec_dollar_path(const char *stage, const struct nx_value *value, struct arena *arena,
                              const struct expr_part **parts, unsigned *count, struct nx_err *err)
{
    if (value->type != NX_TYPE_STRING || value->len < 2 || value->data[0] != '$')
        return nx_fail(err, NX_EQUERY, "%s wants a path with a $ in front, such as \"$a.b\"",
                       stage);
    return expr_split_path((const char *)value->data + 1, value->len - 1, arena, parts, count, err);
}

static void set_into(struct nx_builder *out, struct nx_slice doc, const struct expr_part *parts,
                     unsigned count, const struct nx_value *value)
{
    struct nx_doc_iter iter;
    bool found = false;

    nx_doc_iter_init(&iter, doc);
    for (bool more = nx_doc_iter_next(&iter); more || !found;
         more = more && nx_doc_iter_next(&iter)) {
        bool here =
            more && iter.key_len == parts->len && memcmp(iter.key, parts->name, parts->len) == 0;
        bool is_doc = here && iter.value.type == NX_TYPE_DOCUMENT;

        if (more && !here) {
            nx_builder_put(out, iter.key, iter.key_len, &iter.value);
            continue;
        }
        found = true;
        if (count == 1) {
            nx_builder_put(out, parts->name, parts->len, value);
        } else if (is_doc || value->type != NX_TYPE_MISSING) {
            nx_builder_begin_document(out, parts->name, parts->len);
            set_into(out, is_doc ? nx_value_slice(&iter.value) : nx_doc_empty, parts + 1, count - 1,
                     value);
            nx_builder_close(out);
        } else if (here) {
            nx_builder_put(out, iter.key, iter.key_len, &iter.value);
        }
    }
}

enum nx_code document_set(struct nx_slice doc, const struct expr_part *parts, unsigned count,
                          const struct nx_value *value, struct nx_buf *out, struct nx_err *err)
{
    struct nx_builder builder;

    nx_builder_init(&builder, out);
    set_into(&builder, doc, parts, count, value);
    return nx_builder_end(&builder, err);
}

struct nx_value document_get(struct nx_slice doc, const struct expr_part *parts, unsigned count)
{
    struct nx_value at = nx_doc_value(doc);

    for (unsigned i = 0; i < count && at.type != NX_TYPE_MISSING; i++)
        at = at.type == NX_TYPE_DOCUMENT
                 ? nx_doc_get(nx_value_slice(&at), parts[i].name, parts[i].len)
                 : NX_MISSING;
    return at;
}
