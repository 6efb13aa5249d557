/*
 * spool.h - a list of documents kept for reading again, in memory and past the budget in a file.
 *
 * First all are added, then they are read from the start as often as wanted.
 */
#ifndef QUERY_SPOOL_H
#define QUERY_SPOOL_H

#include <nexadb/buf.h>

#include "query/budget.h"

struct spool;

/* Past `may_take` bytes of the budget, or when nothing is left of it, documents go to a file.
 * `dir` NULL: memory only, then NX_EBUDGET. `what` names the user of the memory in messages. */
enum nx_code spool_new(struct budget *budget, const char *dir, const char *what, uint64_t may_take,
                       struct spool **out, struct nx_err *err);
void spool_free(struct spool *spool);
void spool_clear(struct spool *spool);
enum nx_code spool_add(struct spool *spool, struct nx_slice doc, struct nx_err *err);
uint64_t spool_count(const struct spool *spool);
void spool_rewind(struct spool *spool);
/* NX_DONE at the end. Borrowed until the next call. */
enum nx_code spool_next(struct spool *spool, struct nx_slice *doc, struct nx_err *err);

#endif
