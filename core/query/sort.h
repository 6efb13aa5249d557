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

#define SORT_MAX_FIELDS 32

struct sort_spec;
struct sorter;

/* {"a": 1, "b.c": -1, "s": {"$meta": "vectorSearchScore"}}; NX_EQUERY. */
enum nx_code sort_spec_parse(struct nx_slice spec, struct sort_spec **out, struct nx_err *err);
void sort_spec_free(struct sort_spec *spec);
unsigned sort_spec_fields(const struct sort_spec *spec);
/* True when it orders by _id alone (what follows _id never decides): `descending` says how. */
bool sort_spec_is_id(const struct sort_spec *spec, bool *descending);
/*
 * The values that `doc` is ordered by, one a field, borrowed from it. Of an array its least
 * element, or its greatest when descending; of an empty one undefined, which is below null; of a
 * missing field null. NX_EQUERY when two fields go through different arrays, which have no common
 * order. `metadata` (may be empty) is the document of scores that $meta names.
 */
enum nx_code sort_spec_keys(const struct sort_spec *spec, struct nx_slice doc,
                            struct nx_slice metadata, struct nx_value *keys, struct nx_err *err);
int sort_spec_compare_keys(const struct sort_spec *spec, const struct nx_value *a,
                           const struct nx_value *b);
/* By the keys of both; documents without keys (parallel arrays) come first, equal to each other. */
int sort_spec_compare(const struct sort_spec *spec, struct nx_slice a, struct nx_slice b);

/* `spill_dir`: where runs may go, NULL for none. Borrows `spec` and `budget`. */
enum nx_code sorter_new(const struct sort_spec *spec, uint64_t limit, struct budget *budget,
                        const char *spill_dir, struct sorter **out, struct nx_err *err);
void sorter_free(struct sorter *sorter);
enum nx_code sorter_add(struct sorter *sorter, struct nx_slice doc, struct nx_err *err);
/* The same with the document of scores that goes along with it. */
enum nx_code sorter_add_with(struct sorter *sorter, struct nx_slice doc, struct nx_slice metadata,
                             struct nx_err *err);
/* After the last add. NX_DONE at the end. The document is borrowed until the next call. */
enum nx_code sorter_next(struct sorter *sorter, struct nx_slice *doc, struct nx_err *err);
/* The scores that were added with the document of the last sorter_next; empty when none. */
struct nx_slice sorter_metadata(const struct sorter *sorter);
/* Runs written to files so far. */
uint64_t sorter_spilled_runs(const struct sorter *sorter);

#endif
