/*
 * path.c - dotted paths with MongoDB's array semantics.
 *
 * Two walks call each other: through the fields of an object, and through the elements of an array.
 * In an array a part of the path is tried as a field of each element that is an object, and, when
 * it is a number, as the index of one element. An array directly inside an array is entered by
 * index only. Depth is bounded by the number of parts.
 */
#include "doc/path.h"

#include <stdlib.h>

struct walk {
    const struct path *path;
    path_fn fn;
    void *arg;
    bool expand;
};

/* --- compiling -------------------------------------------------------------------------------- */

static int32_t index_of(const char *name, size_t len)
{
    int32_t v = 0;

    if (len == 0 || len > 9 || (name[0] == '0' && len > 1))
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (name[i] < '0' || name[i] > '9')
            return -1;
        v = v * 10 + (name[i] - '0');
    }
    return v;
}

static enum nx_code split(struct path *path, struct nx_err *err)
{
    const char *from = path->text, *end = path->text + path->len;

    for (uint32_t i = 0; i < path->count; i++) {
        const char *dot = memchr(from, '.', (size_t)(end - from));
        const char *stop = dot ? dot : end;

        if (stop == from)
            return nx_fail(err, NX_EQUERY, "the path '%s' has an empty part", path->text);
        path->parts[i] = (struct path_part){from, (uint32_t)(stop - from),
                                            index_of(from, (size_t)(stop - from))};
        from = stop + 1;
    }
    return NX_OK;
}

enum nx_code path_init(struct path *path, const char *text, size_t len, struct nx_err *err)
{
    enum nx_code rc;
    uint32_t count = 1;

    *path = (struct path){0};
    if (len == 0)
        return nx_fail(err, NX_EQUERY, "a path is empty");
    if (memchr(text, 0, len))
        return nx_fail(err, NX_EQUERY, "a path holds a NUL character");
    for (size_t i = 0; i < len; i++)
        if (text[i] == '.' && ++count > PATH_MAX_PARTS)
            return nx_fail(err, NX_EQUERY, "a path has more than %d parts", PATH_MAX_PARTS);
    path->text = malloc(len + 1);
    path->parts = calloc(count, sizeof *path->parts);
    if (!path->text || !path->parts) {
        path_fini(path);
        return nx_fail_nomem(err);
    }
    memcpy(path->text, text, len);
    path->text[len] = '\0';
    path->len = len;
    path->count = count;
    rc = split(path, err);
    if (rc != NX_OK)
        path_fini(path);
    return rc;
}

void path_fini(struct path *path)
{
    free(path->text);
    free(path->parts);
    *path = (struct path){0};
}

/* --- walking ---------------------------------------------------------------------------------- */

static bool walk_array(const struct walk *w, struct nx_slice array, uint32_t at);

static bool emit_elements(const struct walk *w, struct nx_slice array)
{
    struct nx_doc_iter iter;

    nx_doc_iter_init(&iter, array);
    while (nx_doc_iter_next(&iter))
        if (w->fn(w->arg, &iter.value))
            return true;
    return false;
}

static bool emit_leaf(const struct walk *w, const struct nx_value *value)
{
    if (w->expand && value->type == NX_TYPE_ARRAY && emit_elements(w, nx_value_slice(value)))
        return true;
    return w->fn(w->arg, value);
}

/* Part `at` of the path is a field of `doc`. */
static bool walk_object(const struct walk *w, struct nx_slice doc, uint32_t at)
{
    const struct path_part *part = &w->path->parts[at];
    struct nx_value value = nx_doc_get(doc, part->name, part->len);

    if (at + 1 == w->path->count)
        return emit_leaf(w, &value);
    if (value.type == NX_TYPE_DOCUMENT)
        return walk_object(w, nx_value_slice(&value), at + 1);
    if (value.type == NX_TYPE_ARRAY)
        return walk_array(w, nx_value_slice(&value), at + 1);
    return w->fn(w->arg, &NX_MISSING);
}

/* Part `at` is the index of `element`. */
static bool walk_indexed(const struct walk *w, const struct nx_value *element, uint32_t at)
{
    if (at + 1 == w->path->count)
        return w->fn(w->arg, element); /* named itself: an array's elements are not tried */
    if (element->type == NX_TYPE_DOCUMENT)
        return walk_object(w, nx_value_slice(element), at + 1);
    if (element->type == NX_TYPE_ARRAY)
        return walk_array(w, nx_value_slice(element), at + 1);
    return false;
}

static bool walk_array(const struct walk *w, struct nx_slice array, uint32_t at)
{
    int32_t wanted = w->path->parts[at].index;
    struct nx_doc_iter iter;

    nx_doc_iter_init(&iter, array);
    for (int32_t n = 0; nx_doc_iter_next(&iter); n++) {
        if (iter.value.type == NX_TYPE_DOCUMENT && walk_object(w, nx_value_slice(&iter.value), at))
            return true;
        if (n == wanted && walk_indexed(w, &iter.value, at))
            return true;
    }
    return false;
}

bool path_each(const struct path *path, struct nx_slice doc, path_fn fn, void *arg)
{
    return walk_object(&(struct walk){path, fn, arg, false}, doc, 0);
}

bool path_each_expanded(const struct path *path, struct nx_slice doc, path_fn fn, void *arg)
{
    return walk_object(&(struct walk){path, fn, arg, true}, doc, 0);
}

static struct nx_value element_at(struct nx_slice array, int32_t wanted)
{
    struct nx_doc_iter iter;

    nx_doc_iter_init(&iter, array);
    for (int32_t n = 0; nx_doc_iter_next(&iter); n++)
        if (n == wanted)
            return iter.value;
    return NX_MISSING;
}

struct nx_value path_get_plain(const struct path *path, struct nx_slice doc)
{
    struct nx_value value = nx_doc_value(doc);

    for (uint32_t i = 0; i < path->count; i++) {
        const struct path_part *part = &path->parts[i];

        if (value.type == NX_TYPE_DOCUMENT)
            value = nx_doc_get(nx_value_slice(&value), part->name, part->len);
        else if (value.type == NX_TYPE_ARRAY)
            value = element_at(nx_value_slice(&value), part->index);
        else
            return NX_MISSING;
    }
    return value;
}
