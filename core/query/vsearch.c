/*
 * vsearch.c - exact nearest neighbours: one pass over the collection with a bounded heap.
 *
 * A vector is an array of numbers inside BSON: its elements are decoded where they lie, without an
 * iterator, and compared in double precision, so that the order is that of the mathematics and not
 * of rounding. Documents come in _id order, and of equal scores the earlier stays: ties keep it.
 */
#include "query/vsearch.h"

#include <math.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "query/cursor.h"
#include "query/source.h"

struct hit {
    double score;   /* greater is nearer */
    uint64_t place; /* in the order of _id */
    struct nx_buf doc;
};

struct vsearch {
    struct budget *budget; /* borrowed */
    struct hit *hits;      /* owned: a heap with the farthest on top, then sorted */
    size_t count, cap, at;
    uint64_t taken;
    double *query, *vector; /* owned, `dimensions` each */
    uint32_t dimensions;
    double query_norm;
    enum nx_metric metric;
    uint32_t other_dimension; /* of a vector that was passed over, or 0 */
    bool compared;            /* at least one was of the right dimension */
};

bool nx_metric_from_name(const char *name, size_t len, enum nx_metric *out)
{
    static const struct {
        const char *name;
        enum nx_metric metric;
    } names[] = {{"cosine", NX_COSINE},
                 {"l2", NX_L2},
                 {"euclidean", NX_L2},
                 {"dot", NX_DOT},
                 {"dotProduct", NX_DOT}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i].name) == len && memcmp(names[i].name, name, len) == 0) {
            *out = names[i].metric;
            return true;
        }
    return false;
}

/* --- decoding --------------------------------------------------------------------------------- */

static unsigned digits_of(uint32_t n)
{
    unsigned digits = 1;

    while (n >= 10) {
        n /= 10;
        digits++;
    }
    return digits;
}

/*
 * The numbers of a BSON array, at most `room` of them stored; *count says how many there are. Keys
 * are "0", "1", ...: their length is known, so an element is a few loads. False for an element that
 * is no number.
 */
static bool decode(struct nx_slice array, double *out, uint32_t room, uint32_t *count)
{
    const uint8_t *at = array.data + 4, *end = array.data + array.len - 1;
    uint32_t n = 0, next = 10;
    unsigned key = 1;

    while (at < end) {
        const uint8_t *value = at + key + 2;
        double number;

        if (n == next) {
            key = digits_of(n);
            next *= 10;
            value = at + key + 2;
        }
        if (value + 4 > end || at[key + 1] != 0)
            return false;
        if (*at == NX_TYPE_DOUBLE && value + 8 <= end) {
            memcpy(&number, value, sizeof number);
            at = value + 8;
        } else if (*at == NX_TYPE_INT32) {
            number = (int32_t)get_u32le(value);
            at = value + 4;
        } else if (*at == NX_TYPE_INT64 && value + 8 <= end) {
            number = (double)(int64_t)get_u64le(value);
            at = value + 8;
        } else {
            return false;
        }
        if (n < room)
            out[n] = number;
        n++;
    }
    *count = n;
    return n > 0;
}

/* --- distances -------------------------------------------------------------------------------- */

/* Four sums at a time: the compiler keeps them in vector registers. */
static double dot(const double *a, const double *b, uint32_t n)
{
    double sum[4] = {0};
    uint32_t i = 0;

    for (; i + 4 <= n; i += 4)
        for (unsigned k = 0; k < 4; k++)
            sum[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        sum[0] += a[i] * b[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static double squared_distance(const double *a, const double *b, uint32_t n)
{
    double sum[4] = {0};
    uint32_t i = 0;

    for (; i + 4 <= n; i += 4)
        for (unsigned k = 0; k < 4; k++) {
            double d = a[i + k] - b[i + k];

            sum[k] += d * d;
        }
    for (; i < n; i++)
        sum[0] += (a[i] - b[i]) * (a[i] - b[i]);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static double score_of(const struct vsearch *search)
{
    uint32_t n = search->dimensions;
    double norm;

    switch (search->metric) {
    case NX_L2:
        return 1 / (1 + sqrt(squared_distance(search->query, search->vector, n)));
    case NX_DOT:
        return dot(search->query, search->vector, n);
    default:
        norm = search->query_norm * sqrt(dot(search->vector, search->vector, n));
        return norm > 0 ? dot(search->query, search->vector, n) / norm : 0;
    }
}

/* --- the heap --------------------------------------------------------------------------------- */

/* True when a is farther than b: of equal scores the later one. */
static bool is_farther(const struct hit *a, const struct hit *b)
{
    return a->score < b->score || (!(a->score > b->score) && a->place > b->place);
}

static void swap(struct hit *a, struct hit *b)
{
    struct hit c = *a;

    *a = *b;
    *b = c;
}

static void sift_up(struct hit *hits, size_t i)
{
    while (i && is_farther(&hits[i], &hits[(i - 1) / 2])) {
        swap(&hits[i], &hits[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

static void sift_down(struct hit *hits, size_t count)
{
    for (size_t i = 0, child; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && is_farther(&hits[child + 1], &hits[child]))
            child++;
        if (!is_farther(&hits[child], &hits[i]))
            break;
        swap(&hits[i], &hits[child]);
    }
}

static enum nx_code store(struct vsearch *search, struct hit *hit, struct nx_slice doc,
                          struct nx_err *err)
{
    size_t before = hit->doc.cap;

    nx_buf_clear(&hit->doc);
    if (nx_buf_append(&hit->doc, doc.data, doc.len) != NX_OK)
        return nx_fail_nomem(err);
    if (!budget_take(search->budget, hit->doc.cap - before))
        return budget_fail(search->budget, "a vector search", err);
    search->taken += hit->doc.cap - before;
    return NX_OK;
}

static enum nx_code grow(struct vsearch *search, struct nx_err *err)
{
    size_t cap = search->cap ? search->cap * 2 : 16;
    struct hit *hits;

    if (search->count < search->cap)
        return NX_OK;
    hits = realloc(search->hits, cap * sizeof *hits);
    if (!hits)
        return nx_fail_nomem(err);
    memset(hits + search->cap, 0, (cap - search->cap) * sizeof *hits);
    search->hits = hits;
    search->cap = cap;
    return NX_OK;
}

static enum nx_code offer(struct vsearch *search, uint32_t k, double score, uint64_t place,
                          struct nx_slice doc, struct nx_err *err)
{
    struct hit *hit = search->hits;
    enum nx_code rc;

    if (search->count == k) {
        if (!(score > hit->score))
            return NX_OK;
        rc = store(search, hit, doc, err);
        hit->score = score;
        hit->place = place;
        sift_down(search->hits, search->count);
        return rc;
    }
    rc = grow(search, err);
    if (rc == NX_OK)
        rc = store(search, &search->hits[search->count], doc, err);
    if (rc != NX_OK)
        return rc;
    search->hits[search->count].score = score;
    search->hits[search->count].place = place;
    sift_up(search->hits, search->count++);
    return NX_OK;
}

static int by_nearness(const void *a, const void *b)
{
    return is_farther(a, b) ? 1 : -1;
}

/* --- searching -------------------------------------------------------------------------------- */

static enum nx_code read_query(struct vsearch *search, struct nx_slice vector, struct nx_err *err)
{
    uint32_t count = 0;
    size_t elements = nx_doc_count(vector);

    if (elements == 0 || elements > VSEARCH_DIMENSIONS_MAX)
        return nx_fail(err, NX_EQUERY, "a query vector has 1 to %d numbers, not %zu",
                       VSEARCH_DIMENSIONS_MAX, elements);
    search->query = calloc(elements, sizeof *search->query);
    search->vector = calloc(elements, sizeof *search->vector);
    if (!search->query || !search->vector)
        return nx_fail_nomem(err);
    if (!decode(vector, search->query, (uint32_t)elements, &count))
        return nx_fail(err, NX_EQUERY, "a query vector is an array of numbers only");
    for (uint32_t i = 0; i < count; i++)
        if (!isfinite(search->query[i]))
            return nx_fail(err, NX_EQUERY, "number %u of the query vector is not finite", i);
    search->dimensions = count;
    search->query_norm = sqrt(dot(search->query, search->query, count));
    return NX_OK;
}

static struct nx_value field_at(struct nx_slice doc, const char *field, size_t len)
{
    const char *end = field + len;
    struct nx_value at = nx_doc_value(doc);

    while (field <= end && at.type == NX_TYPE_DOCUMENT) {
        const char *dot_at = memchr(field, '.', (size_t)(end - field));
        const char *stop = dot_at ? dot_at : end;

        at = nx_doc_get(nx_value_slice(&at), field, (size_t)(stop - field));
        field = stop + 1;
    }
    return field > end ? at : NX_MISSING;
}

static enum nx_code look_at(struct vsearch *search, const struct vsearch_options *options,
                            struct nx_slice doc, uint64_t place, struct nx_err *err)
{
    struct nx_value vector = field_at(doc, options->field, options->field_len);
    uint32_t count;
    double score;

    if (vector.type != NX_TYPE_ARRAY ||
        !decode(nx_value_slice(&vector), search->vector, search->dimensions, &count))
        return NX_OK;
    if (count != search->dimensions) {
        search->other_dimension = count;
        return NX_OK;
    }
    search->compared = true;
    score = score_of(search);
    return isnan(score) ? NX_OK : offer(search, options->k, score, place, doc, err);
}

static bool is_excepted(const struct vsearch_options *options, struct nx_slice doc)
{
    struct nx_value id = nx_doc_get_z(doc, "_id");
    struct nx_id key;

    return options->except && nx_id_from_value(&id, &key, NULL) == NX_OK &&
           key.len == options->except->len && memcmp(key.key, options->except->key, key.len) == 0;
}

static enum nx_code scan(struct vsearch *search, const struct vsearch_options *options,
                         struct nx_err *err)
{
    const struct source_options from = {
        .db = options->db,
        .snapshot = options->snapshot,
        .collection = options->collection,
        .filter = options->filter,
        .env = options->env,
        .budget = options->budget,
    };
    struct nx_document document;
    struct source *source;
    uint64_t place = 0;
    enum nx_code rc = source_open(&from, &source, err);

    if (rc != NX_OK)
        return rc;
    while (rc == NX_OK && (rc = source_next(source, &document, err)) == NX_OK) {
        rc = budget_tick(options->budget, err);
        if (rc == NX_OK && !is_excepted(options, document.bson))
            rc = look_at(search, options, document.bson, place++, err);
    }
    source_close(source);
    return rc == NX_DONE ? NX_OK : rc;
}

enum nx_code vsearch_run(const struct vsearch_options *options, struct vsearch **out,
                         struct nx_err *err)
{
    struct vsearch *search = calloc(1, sizeof *search);
    enum nx_code rc;

    *out = NULL;
    if (!search)
        return nx_fail_nomem(err);
    search->budget = options->budget;
    search->metric = options->metric;
    rc = read_query(search, options->vector, err);
    if (rc == NX_OK && options->collection)
        rc = scan(search, options, err);
    if (rc == NX_OK && !search->compared && search->other_dimension)
        rc = nx_fail(
            err, NX_EDIMENSION, "the query vector has %u dimensions, the vectors at '%.*s' have %u",
            search->dimensions, (int)options->field_len, options->field, search->other_dimension);
    if (rc != NX_OK) {
        vsearch_free(search);
        return rc;
    }
    if (search->count)
        qsort(search->hits, search->count, sizeof *search->hits, by_nearness);
    *out = search;
    return NX_OK;
}

void vsearch_free(struct vsearch *search)
{
    if (!search)
        return;
    for (size_t i = 0; i < search->cap; i++)
        nx_buf_fini(&search->hits[i].doc);
    budget_give(search->budget, search->taken);
    free(search->hits);
    free(search->query);
    free(search->vector);
    free(search);
}

enum nx_code vsearch_next(struct vsearch *search, struct nx_slice *doc, double *score)
{
    if (search->at == search->count)
        return NX_DONE;
    *doc = nx_buf_slice(&search->hits[search->at].doc);
    *score = search->hits[search->at++].score;
    return NX_OK;
}

/* --- the public search ------------------------------------------------------------------------ */

struct vsearch_cursor {
    struct nx_cursor cursor;
    struct budget budget;
    struct filter *filter;  /* owned */
    struct vsearch *search; /* owned */
    struct nx_buf out;
};

static enum nx_code cursor_next(struct nx_cursor *cursor, struct nx_slice *doc, struct nx_err *err)
{
    struct vsearch_cursor *self = (struct vsearch_cursor *)cursor;
    struct nx_builder builder;
    struct nx_slice found;
    double score;
    enum nx_code rc = vsearch_next(self->search, &found, &score);

    if (rc != NX_OK)
        return rc;
    nx_buf_clear(&self->out);
    nx_builder_init(&builder, &self->out);
    nx_builder_put_z(&builder, "document_id", nx_doc_get_z(found, "_id"));
    nx_builder_put_z(&builder, "similarity", nx_double(score));
    nx_builder_put_z(&builder, "document", nx_doc_value(found));
    rc = nx_builder_end(&builder, err);
    *doc = nx_buf_slice(&self->out);
    return rc;
}

static void cursor_close(struct nx_cursor *cursor)
{
    struct vsearch_cursor *self = (struct vsearch_cursor *)cursor;

    vsearch_free(self->search);
    filter_free(self->filter);
    nx_buf_fini(&self->out);
    free(self);
}

static const struct cursor_ops vsearch_ops = {.next = cursor_next, .close = cursor_close};

/* The vector of another document, copied to `vector`. */
static enum nx_code vector_like(struct nx_db *db, struct vsearch_options *options,
                                const struct nx_value *like, struct nx_id *id,
                                struct nx_buf *vector, struct nx_err *err)
{
    struct nx_buf bytes NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    const struct nx_limits *limits = &options->budget->limits;
    struct nx_document document;
    struct nx_value field;
    enum nx_code rc = nx_id_from_value(like, id, err);

    if (rc == NX_OK && options->collection == 0)
        rc = nx_fail(err, NX_ENOTFOUND, "there is no document to be like: the collection is empty");
    if (rc == NX_OK)
        rc =
            nx_document_get(db, options->snapshot, options->collection, id, &bytes, &document, err);
    if (rc == NX_OK && limits->visible && !limits->visible(limits->arg, &document.attr))
        rc = nx_fail(err, NX_ENOTFOUND, "there is no such document to be like");
    if (rc != NX_OK)
        return rc;
    field = field_at(document.bson, options->field, options->field_len);
    if (field.type != NX_TYPE_ARRAY)
        return nx_fail(err, NX_EQUERY, "the document to be like has no vector at '%.*s'",
                       (int)options->field_len, options->field);
    if (nx_buf_append(vector, field.data, field.len) != NX_OK)
        return nx_fail_nomem(err);
    options->vector = nx_buf_slice(vector);
    options->except = id;
    return NX_OK;
}

static enum nx_code check_dimensions(const struct nx_vsearch *search, struct nx_slice vector,
                                     struct nx_err *err)
{
    size_t count = nx_doc_count(vector);

    if (search->dimensions == 0 || search->dimensions == count)
        return NX_OK;
    return nx_fail(err, NX_EDIMENSION, "the vector has %zu dimensions, not %u", count,
                   search->dimensions);
}

static enum nx_code run(struct vsearch_cursor *self, struct nx_db *db,
                        const struct nx_snapshot *snapshot, nx_ino collection,
                        const struct nx_vsearch *search, struct nx_err *err)
{
    const char *field = search->field ? search->field : "vector";
    struct vsearch_options options = {.db = db,
                                      .snapshot = snapshot,
                                      .collection = collection,
                                      .field = field,
                                      .field_len = strlen(field),
                                      .vector = search->vector,
                                      .k = search->k ? search->k : VSEARCH_K_DEFAULT,
                                      .metric = search->metric,
                                      .budget = &self->budget};
    struct nx_buf vector NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_id id;
    enum nx_code rc = NX_OK;

    if (search->filter.len)
        rc = filter_parse(search->filter, NULL, &self->filter, err);
    options.filter = self->filter;
    if (rc == NX_OK && search->vector.len == 0)
        rc = vector_like(db, &options, &search->like, &id, &vector, err);
    if (rc == NX_OK)
        rc = check_dimensions(search, options.vector, err);
    return rc == NX_OK ? vsearch_run(&options, &self->search, err) : rc;
}

enum nx_code nx_query_vsearch(struct nx_db *db, const struct nx_snapshot *snapshot,
                              nx_ino collection, const struct nx_vsearch *search,
                              const struct nx_limits *limits, struct nx_cursor **out,
                              struct nx_err *err)
{
    struct vsearch_cursor *self = calloc(1, sizeof *self);
    enum nx_code rc;

    *out = NULL;
    if (!self)
        return nx_fail_nomem(err);
    self->cursor.ops = &vsearch_ops;
    budget_init(&self->budget, limits, nx_db_io(db));
    rc = run(self, db, snapshot, collection, search, err);
    if (rc != NX_OK)
        cursor_close(&self->cursor);
    else
        *out = &self->cursor;
    return rc;
}
