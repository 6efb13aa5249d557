/* query_json.h - BSON from JSON text, for tests of the query layer. */
#ifndef TESTS_QUERY_JSON_H
#define TESTS_QUERY_JSON_H

#include <nexadb/json.h>

#include "tests/support/unit.h"

/* Parsed once and kept until json_forget: tests read like their JSON. Fails the test on bad JSON.
 */
struct nx_slice json(const char *text);
struct nx_value json_value(const char *text);
/* One line of relaxed JSON; valid until json_forget. */
const char *json_text(struct nx_slice doc);
/* Free everything made above: the teardown of each test. */
int json_forget(void **state);

#endif
