/* engine_fixture.h - an engine on the posix, the simulated or the failing file layer, kept small.
 */
#ifndef ENGINE_FIXTURE_H
#define ENGINE_FIXTURE_H

#include <nexadb/engine.h>

#include "base/io_fault.h"
#include "base/io_sim.h"
#include "tests/support/unit.h"

struct engine_fixture {
    struct nx_io *io;
    struct io_sim *sim;     /* NULL on posix */
    struct io_fault *fault; /* NULL on posix and plain sim */
    struct nx_engine *engine;
    struct nx_engine_options options;
    struct nx_batch *batch;
    struct nx_buf value;
    char dir[64];
    char text[96];
};

int engine_set_up_posix(void **state);
int engine_set_up_sim(void **state);
int engine_set_up_fault(void **state); /* in front of a sim */
int engine_tear_down(void **state);

/* One test on all three. */
#define ON_ALL(test)                                                                               \
    {"posix: " #test, test, engine_set_up_posix, engine_tear_down, NULL},                          \
        {"sim: " #test, test, engine_set_up_sim, engine_tear_down, NULL},                          \
    {                                                                                              \
        "fault: " #test, test, engine_set_up_fault, engine_tear_down, NULL                         \
    }
#define ON_SIM(test)                                                                               \
    {                                                                                              \
        "sim: " #test, test, engine_set_up_sim, engine_tear_down, NULL                             \
    }
#define ON_FAULT(test)                                                                             \
    {                                                                                              \
        "fault: " #test, test, engine_set_up_fault, engine_tear_down, NULL                         \
    }

void engine_open(struct engine_fixture *f);
enum nx_code engine_open_code(struct engine_fixture *f, struct nx_err *err);
void engine_close(struct engine_fixture *f);
void engine_reopen(struct engine_fixture *f);
/* The program is killed, or the power fails; the fixture goes on with what the next boot finds. */
void engine_kill(struct engine_fixture *f);
void engine_power_loss(struct engine_fixture *f, uint64_t seed);
/* Go on with a disk that is already there. */
void engine_adopt(struct engine_fixture *f, struct io_sim *sim);

enum nx_code engine_put_code(struct engine_fixture *f, const char *key, const char *value,
                             enum nx_durability durability, struct nx_err *err);
void engine_put(struct engine_fixture *f, const char *key, const char *value);
void engine_delete(struct engine_fixture *f, const char *key);
void engine_delete_range(struct engine_fixture *f, const char *begin, const char *end);
void engine_flush(struct engine_fixture *f);

void assert_value(struct engine_fixture *f, const struct nx_snapshot *snapshot, const char *key,
                  const char *value); /* NULL: absent */
/* All keys in order, each followed by a space, by an iterator forwards; backwards must agree. */
void assert_keys(struct engine_fixture *f, const struct nx_snapshot *snapshot,
                 const char *expected);

/* "dir/name", until the next call. */
const char *engine_path(struct engine_fixture *f, const char *name);
/* The first file whose name ends so, as "dir/name". */
const char *engine_find_file(struct engine_fixture *f, const char *suffix);

#endif
