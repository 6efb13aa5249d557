/*
 * result.h - answering with the documents of a cursor, in bounded memory.
 */
#ifndef DAEMON_RESULT_H
#define DAEMON_RESULT_H

#include "daemon/request.h"

/*
 * Make the response of `cursor`, which is taken, also when this fails. `list` names the array of
 * JSON; Accept: application/x-ndjson gives lines. `limit` 0: all; else the cursor gives one
 * document more when there is more, and the answer then has "next".
 */
enum nx_code result_answer(struct request *req, struct nx_cursor *cursor, const char *list,
                           uint64_t limit, enum nx_json_flavor flavor, struct nx_err *err);

#endif
