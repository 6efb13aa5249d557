/*
 * conformance_test.c - the query corpus against the query layer alone, without a store.
 *
 * NEXADB_CONFORMANCE names the folder of case files (format: its README.md); without it the test is
 * skipped. The cases of find, count, distinct, update and delete run over documents in memory,
 * through the same filters, sorters, projections and updates that the store's cursors use. An
 * argument selects the cases whose "area/name" contains it, and prints each failure.
 */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nexadb/io.h>
#include <nexadb/json.h>

#include "doc/path.h"
#include "query/expr.h"
#include "query/filter.h"
#include "query/projection.h"
#include "query/sort.h"
#include "query/update.h"
#include "query/value_set.h"

#define SKIPPED 77
#define MAX_DOCS 512

/* --- values as the corpus compares them ------------------------------------------------------- */

static bool same_value(const struct nx_value *a, const struct nx_value *b, bool ordered);

static bool same_number(const struct nx_value *a, const struct nx_value *b)
{
    double x = nx_value_to_double(a), y = nx_value_to_double(b), size;

    if (isnan(x) || isnan(y))
        return isnan(x) && isnan(y);
    size = fabs(x) > fabs(y) ? fabs(x) : fabs(y);
    return x == y || fabs(x - y) <= 1e-9 * size;
}

static bool same_fields(struct nx_slice a, struct nx_slice b, bool ordered)
{
    struct nx_doc_iter i, j;

    if (nx_doc_count(a) != nx_doc_count(b))
        return false;
    nx_doc_iter_init(&i, a);
    nx_doc_iter_init(&j, b);
    while (nx_doc_iter_next(&i) && nx_doc_iter_next(&j)) {
        struct nx_value other = nx_doc_get(b, i.key, i.key_len);

        if (ordered && strcmp(i.key, j.key) != 0)
            return false;
        if (other.type == NX_TYPE_MISSING || !same_value(&i.value, &other, ordered))
            return false;
    }
    return true;
}

static bool same_value(const struct nx_value *a, const struct nx_value *b, bool ordered)
{
    if (nx_is_number(a) && nx_is_number(b))
        return same_number(a, b);
    if (a->type == b->type && (a->type == NX_TYPE_DOCUMENT || a->type == NX_TYPE_ARRAY))
        return same_fields(nx_value_slice(a), nx_value_slice(b), ordered);
    return a->type == b->type && nx_value_compare(a, b) == 0;
}

struct list {
    struct nx_value items[MAX_DOCS];
    size_t count;
};

static bool same_list(const struct list *expected, const struct list *got, bool ordered,
                      bool field_order)
{
    bool used[MAX_DOCS] = {false};

    if (expected->count != got->count)
        return false;
    for (size_t i = 0; i < expected->count; i++) {
        size_t j = ordered ? i : 0, end = ordered ? i + 1 : got->count;

        while (j < end &&
               (used[j] || !same_value(&expected->items[i], &got->items[j], field_order)))
            j++;
        if (j == end)
            return false;
        used[j] = true;
    }
    return true;
}

/* --- one case --------------------------------------------------------------------------------- */

struct run {
    struct nx_slice spec; /* the case */
    struct list docs;     /* the collection */
    struct nx_buf store[MAX_DOCS];
    size_t stored;
    struct budget budget;
    struct arena arena;
    struct expr_env env;
    struct nx_err err;
    struct list got;
    double number;
    char why[200];
};

static struct nx_value member(const struct run *run, const char *name)
{
    return nx_doc_get_z(run->spec, name);
}

static struct nx_slice slice_of(const struct run *run, const char *name)
{
    struct nx_value value = member(run, name);

    return value.type == NX_TYPE_DOCUMENT || value.type == NX_TYPE_ARRAY ? nx_value_slice(&value)
                                                                         : NX_SLICE_NULL;
}

static int64_t number_of(const struct run *run, const char *name)
{
    struct nx_value value = member(run, name);
    int64_t number = 0;

    nx_value_to_int64(&value, &number);
    return number;
}

static bool flag_of(const struct run *run, const char *name)
{
    struct nx_value value = member(run, name);

    return value.type == NX_TYPE_BOOL && value.boolean;
}

static struct nx_buf *keep(struct run *run)
{
    return &run->store[run->stored++];
}

static void fill(struct list *list, const struct nx_value *array)
{
    struct nx_doc_iter iter;

    list->count = 0;
    if (array->type != NX_TYPE_ARRAY)
        return;
    nx_doc_iter_init(&iter, nx_value_slice(array));
    while (nx_doc_iter_next(&iter) && list->count < MAX_DOCS)
        list->items[list->count++] = iter.value;
}

static int by_id(const void *a, const void *b)
{
    struct nx_value x = nx_doc_get(nx_value_slice(a), "_id", 3);
    struct nx_value y = nx_doc_get(nx_value_slice(b), "_id", 3);

    return nx_value_compare(&x, &y);
}

static enum nx_code sort_matching(struct run *run, struct list *list)
{
    struct sort_spec *spec = NULL;
    struct sorter *sorter = NULL;
    struct nx_slice doc;
    enum nx_code rc = sort_spec_parse(slice_of(run, "sort"), &spec, &run->err);
    size_t count = 0;

    if (rc == NX_OK)
        rc = sorter_new(spec, 0, &run->budget, NULL, &sorter, &run->err);
    for (size_t i = 0; rc == NX_OK && i < list->count; i++)
        rc = sorter_add(sorter, nx_value_slice(&list->items[i]), &run->err);
    while (rc == NX_OK) {
        rc = sorter_next(sorter, &doc, &run->err);
        if (rc != NX_OK)
            break;
        struct nx_buf *copy = keep(run);

        nx_buf_append(copy, doc.data, doc.len);
        list->items[count++] = nx_doc_value(nx_buf_slice(copy));
    }
    sorter_free(sorter);
    sort_spec_free(spec);
    return rc == NX_DONE ? NX_OK : rc;
}

static void page(struct run *run, struct list *list)
{
    size_t skip = (size_t)number_of(run, "skip"), limit = (size_t)number_of(run, "limit");

    skip = skip < list->count ? skip : list->count;
    memmove(list->items, list->items + skip, (list->count - skip) * sizeof *list->items);
    list->count -= skip;
    if (limit && list->count > limit)
        list->count = limit;
}

static enum nx_code project(struct run *run, const struct filter *filter, struct list *list)
{
    struct projection *projection;
    enum nx_code rc = projection_parse(slice_of(run, "projection"), PROJECTION_FIND, NULL, filter,
                                       &projection, &run->err);

    for (size_t i = 0; rc == NX_OK && i < list->count; i++) {
        struct nx_buf *out = keep(run);

        run->env.root = nx_value_slice(&list->items[i]);
        rc = projection_apply(projection, &run->env, out, &run->err);
        list->items[i] = nx_doc_value(nx_buf_slice(out));
    }
    projection_free(projection);
    return rc;
}

static enum nx_code matching(struct run *run, const struct filter *filter, struct list *out)
{
    bool matches;
    enum nx_code rc = NX_OK;

    out->count = 0;
    for (size_t i = 0; rc == NX_OK && i < run->docs.count; i++) {
        rc = filter_match(filter, nx_value_slice(&run->docs.items[i]), &run->env, &matches,
                          &run->err);
        if (rc == NX_OK && matches)
            out->items[out->count++] = run->docs.items[i];
    }
    return rc;
}

static enum nx_code run_find(struct run *run, const struct filter *filter)
{
    enum nx_code rc = matching(run, filter, &run->got);

    if (number_of(run, "skip") < 0 || number_of(run, "limit") < 0)
        return NX_EQUERY; /* the door's check */
    if (rc == NX_OK && slice_of(run, "sort").len)
        rc = sort_matching(run, &run->got);
    if (rc != NX_OK)
        return rc;
    page(run, &run->got);
    return project(run, filter, &run->got);
}

static enum nx_code run_count(struct run *run, const struct filter *filter)
{
    enum nx_code rc = matching(run, filter, &run->got);

    page(run, &run->got);
    run->number = (double)run->got.count;
    return rc;
}

struct collect {
    struct value_set *set;
};

static bool collect(void *arg, const struct nx_value *value)
{
    struct collect *self = arg;
    struct nx_doc_iter iter;

    if (value->type != NX_TYPE_ARRAY)
        return value_set_add(self->set, value, NULL) != NX_OK;
    nx_doc_iter_init(&iter, nx_value_slice(value));
    while (nx_doc_iter_next(&iter))
        value_set_add(self->set, &iter.value, NULL);
    return false;
}

static enum nx_code run_distinct(struct run *run, const struct filter *filter)
{
    struct nx_value field = member(run, "field");
    struct value_set set;
    struct path path;
    struct list list;
    struct nx_builder builder;
    struct nx_buf *out = keep(run);
    const struct nx_value *values;
    struct nx_value array;
    size_t count;
    enum nx_code rc = matching(run, filter, &list);

    if (rc != NX_OK)
        return rc;
    value_set_init(&set, &run->budget);
    path_init(&path, (const char *)field.data, field.len, NULL);
    for (size_t i = 0; i < list.count; i++)
        path_each(&path, nx_value_slice(&list.items[i]), collect, &(struct collect){&set});
    values = value_set_sorted(&set, &count);
    nx_builder_init_array(&builder, out);
    for (size_t i = 0; i < count; i++)
        nx_builder_push(&builder, &values[i]);
    nx_builder_end(&builder, NULL);
    array = nx_array_value(nx_buf_slice(out));
    fill(&run->got, &array);
    value_set_fini(&set);
    path_fini(&path);
    return NX_OK;
}

static enum nx_code run_delete(struct run *run, const struct filter *filter)
{
    size_t kept = 0;
    bool matches, go_on = true;
    enum nx_code rc = NX_OK;

    run->number = 0;
    for (size_t i = 0; rc == NX_OK && i < run->docs.count; i++) {
        matches = false;
        if (go_on)
            rc = filter_match(filter, nx_value_slice(&run->docs.items[i]), &run->env, &matches,
                              &run->err);
        if (matches) {
            run->number++;
            go_on = flag_of(run, "multi");
        } else {
            run->docs.items[kept++] = run->docs.items[i];
        }
    }
    run->docs.count = kept;
    return rc;
}

struct counts {
    int64_t matched, modified;
    bool upserted;
};

static enum nx_code upsert(struct run *run, const struct update *update,
                           const struct filter *filter, struct counts *counts)
{
    struct nx_buf *out = keep(run);
    struct nx_value id;
    enum nx_code rc = update_upsert(update, filter, &run->env, out, &run->err);

    if (rc != NX_OK)
        return rc;
    id = nx_doc_get(nx_buf_slice(out), "_id", 3);
    for (size_t i = 0; i < run->docs.count; i++) {
        struct nx_value other = nx_doc_get(nx_value_slice(&run->docs.items[i]), "_id", 3);

        if (nx_value_compare(&id, &other) == 0)
            return nx_fail(&run->err, NX_EEXISTS, "duplicate");
    }
    run->docs.items[run->docs.count++] = nx_doc_value(nx_buf_slice(out));
    counts->upserted = true;
    return NX_OK;
}

static enum nx_code run_update(struct run *run, const struct filter *filter, struct counts *counts)
{
    struct nx_value spec = member(run, "update");
    struct update *update;
    struct update_run how = {.filter = filter, .env = &run->env};
    enum nx_code rc = update_parse(nx_value_slice(&spec), spec.type == NX_TYPE_ARRAY,
                                   slice_of(run, "arrayFilters"), &update, &run->err);

    if (rc == NX_OK && flag_of(run, "multi") && update_is_replacement(update))
        rc = NX_EUPDATE;
    for (size_t i = 0; rc == NX_OK && i < run->docs.count; i++) {
        struct nx_slice doc = nx_value_slice(&run->docs.items[i]);
        struct nx_buf *out;
        bool matches;

        rc = filter_match(filter, doc, &run->env, &matches, &run->err);
        if (rc != NX_OK || !matches)
            continue;
        out = keep(run);
        run->env.root = doc;
        rc = update_apply(update, doc, &how, out, &run->err);
        counts->matched++;
        counts->modified += !nx_slice_equal(doc, nx_buf_slice(out));
        run->docs.items[i] = nx_doc_value(nx_buf_slice(out));
        if (!flag_of(run, "multi"))
            break;
    }
    if (rc == NX_OK && counts->matched == 0 && flag_of(run, "upsert"))
        rc = upsert(run, update, filter, counts);
    update_free(update);
    return rc;
}

/* --- judging ---------------------------------------------------------------------------------- */

static void tell(struct run *run, const char *what, const struct list *list)
{
    struct nx_buf text = NX_BUF_INIT;

    nx_buf_append_str(&text, what);
    for (size_t i = 0; i < list->count && text.len < 1500; i++) {
        nx_buf_append_str(&text, " ");
        nx_json_write_value(&list->items[i], NX_JSON_RELAXED, &text);
    }
    nx_buf_append_byte(&text, 0);
    fprintf(stderr, "     %s\n", (char *)text.data);
    nx_buf_fini(&text);
    (void)run;
}

static bool judge_list(struct run *run, const char *name, const struct list *got)
{
    struct nx_value expected = member(run, name);
    struct list want;

    fill(&want, &expected);
    if (same_list(&want, got, flag_of(run, "ordered"), flag_of(run, "fieldOrder")))
        return true;
    tell(run, "expected", &want);
    tell(run, "got     ", got);
    return false;
}

static bool judge_ids(struct run *run)
{
    struct list ids = {.count = 0};

    for (size_t i = 0; i < run->got.count; i++)
        ids.items[ids.count++] = nx_doc_get(nx_value_slice(&run->got.items[i]), "_id", 3);
    return judge_list(run, "expectedIds", &ids);
}

static bool judge_counts(struct run *run, const struct counts *counts)
{
    struct nx_value result = member(run, "expectedResult");
    struct nx_slice doc = nx_value_slice(&result);
    struct nx_value matched = nx_doc_get_z(doc, "matched");
    struct nx_value modified = nx_doc_get_z(doc, "modified");
    struct nx_value upserted = nx_doc_get_z(doc, "upserted");

    if (nx_value_to_double(&matched) == (double)counts->matched &&
        nx_value_to_double(&modified) == (double)counts->modified &&
        upserted.boolean == counts->upserted)
        return true;
    fprintf(stderr, "     matched %lld, modified %lld, upserted %d\n", (long long)counts->matched,
            (long long)counts->modified, counts->upserted);
    return false;
}

static bool judge(struct run *run, const char *op, enum nx_code rc, const struct counts *counts)
{
    struct nx_value expected = member(run, "expected");

    if (flag_of(run, "error"))
        return rc != NX_OK;
    if (rc != NX_OK) {
        fprintf(stderr, "     failed: %s\n", run->err.message);
        return false;
    }
    if (strcmp(op, "count") == 0)
        return nx_value_to_double(&expected) == run->number;
    if (strcmp(op, "update") == 0 && !judge_counts(run, counts))
        return false;
    if (strcmp(op, "update") == 0 || strcmp(op, "delete") == 0)
        return judge_list(run, "expectedDocs", &run->docs);
    if (expected.type == NX_TYPE_MISSING)
        return judge_ids(run);
    return judge_list(run, "expected", &run->got);
}

static bool run_case(struct run *run, const char *op)
{
    struct nx_value now = nx_date(1700000000000);
    struct filter *filter = NULL;
    struct counts counts = {0};
    enum nx_code rc;

    budget_init(&run->budget, NULL, nx_io_posix());
    run->env = (struct expr_env){.current = NX_MISSING,
                                 .arena = &run->arena,
                                 .now = &now,
                                 .metadata = NX_MISSING,
                                 .io = nx_io_posix()};
    qsort(run->docs.items, run->docs.count, sizeof *run->docs.items, by_id);
    rc = filter_parse(slice_of(run, "filter"), NULL, &filter, &run->err);
    if (rc == NX_OK && strcmp(op, "find") == 0)
        rc = run_find(run, filter);
    else if (rc == NX_OK && strcmp(op, "count") == 0)
        rc = run_count(run, filter);
    else if (rc == NX_OK && strcmp(op, "distinct") == 0)
        rc = run_distinct(run, filter);
    else if (rc == NX_OK && strcmp(op, "delete") == 0)
        rc = run_delete(run, filter);
    else if (rc == NX_OK)
        rc = run_update(run, filter, &counts);
    filter_free(filter);
    return judge(run, op, rc, &counts);
}

static bool is_ours(const char *op)
{
    static const char *const ops[] = {"find", "count", "distinct", "delete", "update"};

    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (strcmp(ops[i], op) == 0)
            return true;
    return false;
}

static void run_area(struct nx_slice file, const char *select, unsigned *passed, unsigned *failed)
{
    struct nx_value fixtures = nx_doc_get_z(file, "fixtures"), area = nx_doc_get_z(file, "area");
    struct nx_value cases = nx_doc_get_z(file, "cases");
    struct nx_doc_iter iter;

    nx_doc_iter_init(&iter, nx_value_slice(&cases));
    while (nx_doc_iter_next(&iter)) {
        struct run *run = calloc(1, sizeof *run);
        struct nx_value name, op, docs, fixture;
        char full[200];

        run->spec = nx_value_slice(&iter.value);
        name = member(run, "name");
        op = member(run, "op");
        docs = member(run, "docs");
        fixture = member(run, "fixture");
        snprintf(full, sizeof full, "%s/%s", (const char *)area.data, (const char *)name.data);
        if (fixture.type == NX_TYPE_STRING)
            docs = nx_doc_get(nx_value_slice(&fixtures), (const char *)fixture.data, fixture.len);
        fill(&run->docs, &docs);
        if (is_ours((const char *)op.data) && strstr(full, select) &&
            member(run, "dataset").type == NX_TYPE_MISSING) {
            bool ok = run_case(run, (const char *)op.data);

            *(ok ? passed : failed) += 1;
            if (!ok)
                fprintf(stderr, "FAIL %s\n", full);
        }
        for (size_t i = 0; i < run->stored; i++)
            nx_buf_fini(&run->store[i]);
        arena_fini(&run->arena);
        free(run);
    }
}

static bool read_whole(const char *path, struct nx_buf *out)
{
    FILE *file = fopen(path, "rb");
    char piece[4096];
    size_t got;

    if (!file)
        return false;
    while ((got = fread(piece, 1, sizeof piece, file)) > 0)
        nx_buf_append(out, piece, got);
    fclose(file);
    return true;
}

static void run_file(const char *path, const char *select, unsigned *total, unsigned *failures)
{
    struct nx_buf text = NX_BUF_INIT, bson = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    unsigned passed = 0, failed = 0;
    bool is_array;

    if (!read_whole(path, &text) || nx_json_parse((const char *)text.data, text.len, NX_JSON_QUERY,
                                                  64u << 20, &bson, &is_array, &err) != NX_OK) {
        fprintf(stderr, "%s: %s\n", path, err.message);
        *failures += 1;
    } else if (nx_doc_get_z(nx_buf_slice(&bson), "cases").type == NX_TYPE_ARRAY) {
        run_area(nx_buf_slice(&bson), select, &passed, &failed);
        if (passed + failed)
            printf("%-60s %4u / %u\n", path, passed, passed + failed);
    }
    *total += passed;
    *failures += failed;
    nx_buf_fini(&text);
    nx_buf_fini(&bson);
}

int main(int argc, char **argv)
{
    const char *dir = getenv("NEXADB_CONFORMANCE");
    struct dirent **names;
    unsigned passed = 0, failed = 0;
    int count;

    if (!dir)
        return SKIPPED;
    count = scandir(dir, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[1024];

        snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name);
        if (strlen(path) > 5 && strcmp(path + strlen(path) - 5, ".json") == 0)
            run_file(path, argc > 1 ? argv[1] : "", &passed, &failed);
        free(names[i]);
    }
    if (count >= 0)
        free(names);
    printf("%u passed, %u failed\n", passed, failed);
    return failed || passed == 0;
}
