/*
 * json_patch.c - RFC 6902 on BSON.
 *
 * Every operation is one edit at a place, and an edit is one walk that copies the document: down
 * the pointer's tokens, everything beside them unchanged. `add`, `remove` and `replace` are edits;
 * `move` and `copy` are made of them; `test` only looks.
 */
#include "daemon/json_patch.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nexadb/value.h>

enum { POINTER_MAX_TOKENS = NX_DOC_MAX_DEPTH };

/* A JSON Pointer (RFC 6901), decoded: its tokens stand one behind the other, each with a NUL. */
struct pointer {
    const char *token[POINTER_MAX_TOKENS];
    size_t len[POINTER_MAX_TOKENS];
    size_t tokens;
    char *store; /* owned */
};

enum edit_kind { EDIT_ADD, EDIT_REMOVE, EDIT_REPLACE };

struct edit {
    enum edit_kind kind;
    const struct pointer *at;
    struct nx_value value; /* of an add or a replace */
    const char *failure;   /* NULL: the place was found */
};

/* --- pointers --------------------------------------------------------------------------------- */

/* One token, with ~1 for '/' and ~0 for '~', moved to `to`; NULL when a '~' stands alone. */
static char *decode_token(const char *from, size_t len, char *to)
{
    for (size_t i = 0; i < len; i++) {
        if (from[i] != '~') {
            *to++ = from[i];
            continue;
        }
        if (++i == len || (from[i] != '0' && from[i] != '1'))
            return NULL;
        *to++ = from[i] == '1' ? '/' : '~';
    }
    *to++ = '\0';
    return to;
}

static enum nx_code pointer_parse(const struct nx_value *text, const char *member,
                                  struct pointer *out, struct nx_err *err)
{
    const char *at = (const char *)text->data, *end = at + text->len;
    char *to;

    out->tokens = 0;
    if (text->len && *at != '/')
        return nx_fail(err, NX_EUPDATE, "\"%s\" must be empty or begin with '/'", member);
    to = out->store = malloc(text->len + 1);
    if (!to)
        return nx_fail_nomem(err);
    while (at < end) {
        const char *slash = memchr(at + 1, '/', (size_t)(end - at - 1));
        size_t len = (size_t)((slash ? slash : end) - at - 1);
        size_t n = out->tokens;

        if (n == POINTER_MAX_TOKENS)
            return nx_fail(err, NX_EUPDATE, "\"%s\" has over %d parts", member, POINTER_MAX_TOKENS);
        out->token[n] = to;
        to = decode_token(at + 1, len, to);
        if (!to)
            return nx_fail(err, NX_EUPDATE, "\"%s\": after '~' comes 0 or 1", member);
        out->len[n] = (size_t)(to - out->token[n]) - 1;
        out->tokens++;
        at += len + 1;
    }
    return NX_OK;
}

static void pointer_fini(struct pointer *pointer)
{
    free(pointer->store);
}

/* An index of an array: digits without a leading zero. */
static bool parse_index(const char *token, size_t len, size_t *out)
{
    *out = 0;
    if (!len || len > 9 || (token[0] == '0' && len > 1))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)token[i]))
            return false;
        *out = *out * 10 + (size_t)(token[i] - '0');
    }
    return true;
}

static bool is_container(const struct nx_value *value)
{
    return value->type == NX_TYPE_DOCUMENT || value->type == NX_TYPE_ARRAY;
}

static struct nx_value child(const struct nx_value *parent, const char *token, size_t len)
{
    size_t index;

    if (!is_container(parent) ||
        (parent->type == NX_TYPE_ARRAY && !parse_index(token, len, &index)))
        return NX_MISSING;
    return nx_doc_get(nx_value_slice(parent), token, len);
}

/* What stands at a pointer; MISSING when nothing does. */
static struct nx_value look_up(struct nx_slice doc, const struct pointer *pointer)
{
    struct nx_value value = nx_doc_value(doc);

    for (size_t i = 0; i < pointer->tokens; i++)
        value = child(&value, pointer->token[i], pointer->len[i]);
    return value;
}

/* --- one edit --------------------------------------------------------------------------------- */

static void edit_value(struct nx_builder *b, const char *key, size_t len,
                       const struct nx_value *old, struct edit *edit, size_t depth);

static void edit_object(struct nx_builder *b, struct nx_slice old, struct edit *edit, size_t depth)
{
    const char *token = edit->at->token[depth];
    size_t len = edit->at->len[depth];
    bool last = depth + 1 == edit->at->tokens, found = false;
    struct nx_doc_iter iter;

    nx_doc_iter_init(&iter, old);
    while (nx_doc_iter_next(&iter)) {
        if (iter.key_len != len || memcmp(iter.key, token, len) != 0) {
            nx_builder_put(b, iter.key, iter.key_len, &iter.value);
            continue;
        }
        found = true;
        if (!last)
            edit_value(b, token, len, &iter.value, edit, depth + 1);
        else if (edit->kind != EDIT_REMOVE)
            nx_builder_put(b, token, len, &edit->value);
    }
    if (!found && last && edit->kind == EDIT_ADD)
        nx_builder_put(b, token, len, &edit->value);
    else if (!found)
        edit->failure = "there is nothing at the path";
}

/* "-" is behind the last element, where only an add may go. */
static bool find_element(const struct edit *edit, struct nx_slice old, size_t depth, size_t *out)
{
    const char *token = edit->at->token[depth];
    bool add = edit->kind == EDIT_ADD && depth + 1 == edit->at->tokens;
    size_t count = nx_doc_count(old);

    if (add && !strcmp(token, "-")) {
        *out = count;
        return true;
    }
    return parse_index(token, edit->at->len[depth], out) && *out < count + add;
}

static void edit_array(struct nx_builder *b, struct nx_slice old, struct edit *edit, size_t depth)
{
    bool last = depth + 1 == edit->at->tokens;
    struct nx_doc_iter iter;
    size_t at, i = 0;

    if (!find_element(edit, old, depth, &at)) {
        edit->failure = "the array has no such element";
        return;
    }
    nx_doc_iter_init(&iter, old);
    for (; nx_doc_iter_next(&iter); i++) {
        if (i == at && last && edit->kind != EDIT_REMOVE)
            nx_builder_push(b, &edit->value);
        if (i == at && !last)
            edit_value(b, NULL, 0, &iter.value, edit, depth + 1);
        else if (i != at || edit->kind == EDIT_ADD)
            nx_builder_push(b, &iter.value);
    }
    if (i == at)
        nx_builder_push(b, &edit->value);
}

/* Depth is bounded by the pointer's tokens. */
static void edit_value(struct nx_builder *b, const char *key, size_t len,
                       const struct nx_value *old, struct edit *edit, size_t depth)
{
    if (old->type == NX_TYPE_DOCUMENT) {
        nx_builder_begin_document(b, key, len);
        edit_object(b, nx_value_slice(old), edit, depth);
        nx_builder_close(b);
    } else if (old->type == NX_TYPE_ARRAY) {
        nx_builder_begin_array(b, key, len);
        edit_array(b, nx_value_slice(old), edit, depth);
        nx_builder_close(b);
    } else {
        edit->failure = "there is nothing at the path";
    }
}

static enum nx_code run_edit(struct nx_slice base, struct edit *edit, struct nx_buf *out,
                             struct nx_err *err)
{
    struct nx_builder b;

    nx_buf_clear(out);
    if (!edit->at->tokens) {
        if (edit->kind == EDIT_REMOVE || edit->value.type != NX_TYPE_DOCUMENT)
            return nx_fail(err, NX_EUPDATE, "the whole document can only be an object");
        return nx_buf_append(out, edit->value.data, edit->value.len) == NX_OK ? NX_OK
                                                                              : nx_fail_nomem(err);
    }
    nx_builder_init(&b, out);
    edit_object(&b, base, edit, 0);
    if (edit->failure)
        return nx_fail(err, NX_EUPDATE, "%s", edit->failure);
    return nx_builder_end(&b, err);
}

/* --- operations ------------------------------------------------------------------------------- */

struct operation {
    const struct op_row *row;
    struct pointer path, from;
    struct nx_value value;
};

typedef enum nx_code (*apply_fn)(struct nx_slice base, const struct operation *op,
                                 struct nx_buf *out, struct nx_err *err);

static enum nx_code edit_at(struct nx_slice base, enum edit_kind kind, const struct pointer *at,
                            struct nx_value value, struct nx_buf *out, struct nx_err *err)
{
    struct edit edit = {.kind = kind, .at = at, .value = value};

    return run_edit(base, &edit, out, err);
}

static enum nx_code apply_add(struct nx_slice base, const struct operation *op, struct nx_buf *out,
                              struct nx_err *err)
{
    return edit_at(base, EDIT_ADD, &op->path, op->value, out, err);
}

static enum nx_code apply_remove(struct nx_slice base, const struct operation *op,
                                 struct nx_buf *out, struct nx_err *err)
{
    return edit_at(base, EDIT_REMOVE, &op->path, NX_MISSING, out, err);
}

static enum nx_code apply_replace(struct nx_slice base, const struct operation *op,
                                  struct nx_buf *out, struct nx_err *err)
{
    return edit_at(base, EDIT_REPLACE, &op->path, op->value, out, err);
}

static enum nx_code find_from(struct nx_slice base, const struct operation *op,
                              struct nx_value *out, struct nx_err *err)
{
    *out = look_up(base, &op->from);
    return out->type == NX_TYPE_MISSING ? nx_fail(err, NX_EUPDATE, "there is nothing at \"from\"")
                                        : NX_OK;
}

static enum nx_code apply_copy(struct nx_slice base, const struct operation *op, struct nx_buf *out,
                               struct nx_err *err)
{
    struct nx_value value;
    enum nx_code rc = find_from(base, op, &value, err);

    return rc == NX_OK ? edit_at(base, EDIT_ADD, &op->path, value, out, err) : rc;
}

static bool is_within(const struct pointer *inner, const struct pointer *outer)
{
    if (inner->tokens < outer->tokens)
        return false;
    for (size_t i = 0; i < outer->tokens; i++)
        if (strcmp(inner->token[i], outer->token[i]) != 0)
            return false;
    return true;
}

static enum nx_code apply_move(struct nx_slice base, const struct operation *op, struct nx_buf *out,
                               struct nx_err *err)
{
    struct nx_buf without NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_value value;
    enum nx_code rc = find_from(base, op, &value, err);

    if (rc != NX_OK)
        return rc;
    if (is_within(&op->path, &op->from)) {
        if (op->path.tokens != op->from.tokens)
            return nx_fail(err, NX_EUPDATE, "a value cannot be moved into itself");
        nx_buf_clear(out);
        return nx_buf_append(out, base.data, base.len) == NX_OK ? NX_OK : nx_fail_nomem(err);
    }
    rc = edit_at(base, EDIT_REMOVE, &op->from, NX_MISSING, &without, err);
    if (rc == NX_OK) /* `value` still points into base */
        rc = edit_at(nx_buf_slice(&without), EDIT_ADD, &op->path, value, out, err);
    return rc;
}

static bool is_same(const struct nx_value *a, const struct nx_value *b);

static bool is_same_array(struct nx_slice a, struct nx_slice b)
{
    struct nx_doc_iter left, right;

    nx_doc_iter_init(&left, a);
    nx_doc_iter_init(&right, b);
    while (nx_doc_iter_next(&left))
        if (!nx_doc_iter_next(&right) || !is_same(&left.value, &right.value))
            return false;
    return !nx_doc_iter_next(&right);
}

/* Members in any order, unlike nx_value_compare. */
static bool is_same_object(struct nx_slice a, struct nx_slice b)
{
    struct nx_doc_iter iter;

    if (nx_doc_count(a) != nx_doc_count(b))
        return false;
    nx_doc_iter_init(&iter, a);
    while (nx_doc_iter_next(&iter)) {
        struct nx_value other = nx_doc_get(b, iter.key, iter.key_len);

        if (other.type == NX_TYPE_MISSING || !is_same(&iter.value, &other))
            return false;
    }
    return true;
}

/* Depth is bounded: both passed the parser or nx_doc_check. */
static bool is_same(const struct nx_value *a, const struct nx_value *b)
{
    if (a->type == NX_TYPE_DOCUMENT && b->type == NX_TYPE_DOCUMENT)
        return is_same_object(nx_value_slice(a), nx_value_slice(b));
    if (a->type == NX_TYPE_ARRAY && b->type == NX_TYPE_ARRAY)
        return is_same_array(nx_value_slice(a), nx_value_slice(b));
    return !is_container(a) && !is_container(b) && nx_value_compare(a, b) == 0;
}

static enum nx_code apply_test(struct nx_slice base, const struct operation *op, struct nx_buf *out,
                               struct nx_err *err)
{
    struct nx_value found = look_up(base, &op->path);

    if (found.type == NX_TYPE_MISSING || !is_same(&found, &op->value))
        return nx_fail(err, NX_EPRECONDITION, "the test does not hold");
    nx_buf_clear(out);
    return nx_buf_append(out, base.data, base.len) == NX_OK ? NX_OK : nx_fail_nomem(err);
}

struct op_row {
    const char *name;
    apply_fn apply;
    bool has_value, has_from;
};
static const struct op_row rows[] = {
    {"add", apply_add, true, false},         {"copy", apply_copy, false, true},
    {"move", apply_move, false, true},       {"remove", apply_remove, false, false},
    {"replace", apply_replace, true, false}, {"test", apply_test, true, false},
};

static const struct op_row *find_row(const struct nx_value *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (name->type == NX_TYPE_STRING && strlen(rows[i].name) == name->len &&
            !memcmp(rows[i].name, name->data, name->len))
            return &rows[i];
    return NULL;
}

static enum nx_code read_pointer(struct nx_slice doc, const char *member, struct pointer *out,
                                 struct nx_err *err)
{
    struct nx_value text = nx_doc_get_z(doc, member);

    if (text.type != NX_TYPE_STRING)
        return nx_fail(err, NX_EUPDATE, "\"%s\" must be a string: a JSON Pointer such as \"/a/0\"",
                       member);
    return pointer_parse(&text, member, out, err);
}

/* Members that the operation does not define are passed over, as the RFC asks. */
static enum nx_code read_operation(const struct nx_value *item, struct operation *op,
                                   struct nx_err *err)
{
    struct nx_value name;
    struct nx_slice doc;
    enum nx_code rc;

    if (item->type != NX_TYPE_DOCUMENT)
        return nx_fail(err, NX_EUPDATE, "an operation is an object: {\"op\", \"path\", ...}");
    doc = nx_value_slice(item);
    name = nx_doc_get_z(doc, "op");
    op->row = find_row(&name);
    if (!op->row)
        return nx_fail(err, NX_EUPDATE, "\"op\" is add, copy, move, remove, replace or test");
    op->value = nx_doc_get_z(doc, "value");
    if (op->row->has_value && op->value.type == NX_TYPE_MISSING)
        return nx_fail(err, NX_EUPDATE, "\"%s\" needs a \"value\"", op->row->name);
    rc = read_pointer(doc, "path", &op->path, err);
    if (rc == NX_OK && op->row->has_from)
        rc = read_pointer(doc, "from", &op->from, err);
    return rc;
}

static enum nx_code apply(struct nx_slice base, const struct nx_value *item, struct nx_buf *out,
                          struct nx_err *err)
{
    struct operation op = {0};
    enum nx_code rc = read_operation(item, &op, err);

    if (rc == NX_OK)
        rc = op.row->apply(base, &op, out, err);
    pointer_fini(&op.path);
    pointer_fini(&op.from);
    return rc;
}

static enum nx_code check_size(struct nx_slice doc, struct nx_err *err)
{
    if (doc.len > NX_DOC_MAX_BYTES)
        return nx_fail(err, NX_ETOOBIG, "the patched document is over %u bytes", NX_DOC_MAX_BYTES);
    return nx_doc_check(doc, err);
}

enum nx_code json_patch(struct nx_slice base, struct nx_slice patch, struct nx_buf *out,
                        struct nx_err *err)
{
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf made NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_doc_iter iter;
    enum nx_code rc = nx_buf_append(&doc, base.data, base.len);
    int index = 0;

    nx_doc_iter_init(&iter, patch);
    for (; rc == NX_OK && nx_doc_iter_next(&iter); index++) {
        struct nx_buf old = doc;

        rc = apply(nx_buf_slice(&doc), &iter.value, &made, err);
        if (rc != NX_OK) {
            if (err)
                err->index = index;
            return rc;
        }
        doc = made;
        made = old;
        /* copying a document into itself makes it larger and deeper with each operation */
        rc = check_size(nx_buf_slice(&doc), err);
        if (rc != NX_OK)
            return rc;
    }
    if (rc != NX_OK || nx_buf_append(out, doc.data, doc.len) != NX_OK)
        return nx_fail_nomem(err);
    return NX_OK;
}
