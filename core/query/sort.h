/*
 * sort.h - ordering documents by a sort specification, in bounded memory.
 *
 * Past the budget, sorted runs spill to files of the file layer and are merged. Equal keys keep the
 * order in which they came. With a limit only the first `limit` are kept.
 */
#ifndef QUERY_SORT_H
#define QUERY_SORT_H

#include <nexadb/value.h>

#include "query/budget.h"

struct sort_spec;
struct sorter;

/* {"a": 1, "b.c": -1, "s": {"$meta": "vectorSearchScore"}}; NX_EQUERY. */
enum nx_code sort_spec_parse(struct nx_slice spec, struct sort_spec **out, struct nx_err *err);
void sort_spec_free(struct sort_spec *spec);
int sort_spec_compare(const struct sort_spec *spec, struct nx_slice a, struct nx_slice b);

/* `spill_dir`: where runs may go, NULL for none. Borrows `spec` and `budget`. */
enum nx_code sorter_new(const struct sort_spec *spec, uint64_t limit, struct budget *budget,
                        const char *spill_dir, struct sorter **out, struct nx_err *err);
void sorter_free(struct sorter *sorter);
enum nx_code sorter_add(struct sorter *sorter, struct nx_slice doc, struct nx_err *err);
/* After the last add. NX_DONE at the end. */
enum nx_code sorter_next(struct sorter *sorter, struct nx_slice *doc, struct nx_err *err);

#endif
