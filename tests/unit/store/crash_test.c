/* Crashes on a simulated disk at any of its operations: what is found afterwards is a state that
 * the database went through, not before the last synced change, and every invariant holds in it. */
#include <stdio.h>
#include <string.h>

#include "base/io_sim.h"
#include "store_fixture.h"

#define DIR_COUNT 2

/* What the changes so far have made, each change one step. */
struct history {
    struct nx_db *db;
    nx_ino dirs[DIR_COUNT];
    uint64_t first_seed, seed;
    int step, synced; /* the change under way; the last acknowledged as synced */
    int synced_at_crash;
    bool crashed;
};

static uint32_t pick(struct history *h, uint32_t count)
{
    h->seed = h->seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(h->seed >> 33) % count;
}

static void note_crash(void *arg)
{
    struct history *h = arg;

    h->crashed = true;
    h->synced_at_crash = h->synced;
}

static const char *name_of(struct history *h)
{
    static const char *const names[] = {"a.json", "b.json", "c.json", "d.json", "plain", "other"};

    return names[pick(h, 6)];
}

/* One list: a few documents, one of them large, and the number of the step. */
static void put_some(struct history *h, const struct nx_change *change)
{
    static char large[6000];
    struct nx_err err = NX_ERR_INIT;
    struct nx_write *write;
    struct nx_id id = id_of("step.json");
    char text[64];

    memset(large, 'x', sizeof large);
    memcpy(large, "{\"s\":\"", 6);
    memcpy(large + sizeof large - 3, "\"}", 3);
    snprintf(text, sizeof text, "{\"n\":%d}", h->step);
    OK(nx_write_new(h->db, &write, &err));
    OK(nx_write_put(
        write,
        &(struct nx_put){
            .collection = h->dirs[0], .mode = NX_PUT_UPSERT, .id = &id, .text = nx_slice_str(text)},
        NULL, &err));
    for (uint32_t i = pick(h, 4); i > 0; i--) {
        const char *name = name_of(h);

        if (!strchr(name, '.'))
            continue;
        id = id_of(name);
        if (pick(h, 3) == 0)
            OK(nx_write_delete(write, h->dirs[pick(h, DIR_COUNT)], &id, 0, true, &err));
        else
            OK(nx_write_put(write,
                            &(struct nx_put){.collection = h->dirs[pick(h, DIR_COUNT)],
                                             .mode = NX_PUT_UPSERT,
                                             .id = &id,
                                             .text = nx_slice_str(pick(h, 4) ? "{}" : large)},
                            NULL, &err));
    }
    OK(nx_write_commit(write, change, NULL, &err));
    nx_write_free(write);
}

/* A change of names; refused ones are no matter here. */
static void change_names(struct history *h, const struct nx_change *change)
{
    nx_ino dir = h->dirs[pick(h, DIR_COUNT)], to = h->dirs[pick(h, DIR_COUNT)];
    const char *name = name_of(h), *to_name = name_of(h);
    struct nx_attr attr = {.kind = NX_KIND_FILE, .mode = 0644};

    switch (pick(h, 5)) {
    case 0:
        if (nx_db_create(h->db, dir, name, strlen(name), NX_SLICE_NULL, change, &attr, NULL) ==
                NX_OK &&
            attr.kind == NX_KIND_FILE) {
            nx_db_write(h->db, attr.ino, 0, "{\"file\":1}", 10, change, NULL, NULL);
            nx_db_xattr_set(h->db, attr.ino, nx_slice_str("user.a"), nx_slice_str("v"), 0, change,
                            NULL);
        }
        break;
    case 1:
        nx_db_unlink(h->db, dir, name, strlen(name), change, NULL, NULL);
        break;
    case 2:
        nx_db_drop(h->db, make_collection(h->db, "second/third"), change, NULL);
        break;
    default:
        nx_db_rename(h->db, dir, name, strlen(name), to, to_name, strlen(to_name),
                     pick(h, 4) ? 0 : NX_RENAME_EXCHANGE, change, NULL);
    }
}

static void do_step(struct history *h)
{
    struct nx_change change = {.durability = pick(h, 4) ? NX_BUFFERED : NX_SYNC};

    if (pick(h, 2))
        change_names(h, &change);
    h->step++;
    put_some(h, &change);
    if (change.durability == NX_SYNC)
        h->synced = h->step;
}

/* The step that the database is at, from its own document; 0 before the first. */
static int found_step(struct nx_db *db, nx_ino dir)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_id id = id_of("step.json");
    struct nx_document doc;
    enum nx_code rc = nx_document_get(db, NULL, dir, &id, &buf, &doc, &err);

    if (rc == NX_ENOTFOUND)
        return 0;
    OK(rc);
    return nx_doc_get_z(doc.bson, "n").i32;
}

static void check_found(const struct history *h, struct io_sim *disk, int at_least)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_db *db = store_open("/db", disk);
    int step;

    store_verify(db);
    step = found_step(db, h->dirs[0]);
    if (step < at_least || step > h->step)
        fail_msg("seed %llu: at step %d, synced %d, went on to %d",
                 (unsigned long long)h->first_seed, step, at_least, h->step);
    trash_settled(db);
    store_verify(db);
    make_node(db, NX_ROOT_INO, "after", NX_KIND_FILE);
    OK(put_text(db, h->dirs[0], "after.json", "{}", NX_PUT_INSERT, &err));
    store_verify(db);
    OK(nx_db_close(db, &err));
}

static void crash_once(uint64_t seed, int steps, bool power)
{
    struct io_sim *sim = io_sim_new(seed), *disk;
    struct history *h = calloc(1, sizeof *h);
    struct nx_err err = NX_ERR_INIT;

    h->first_seed = h->seed = seed;
    h->db = store_open("/db", sim);
    h->dirs[0] = make_collection(h->db, "first");
    h->dirs[1] = make_collection(h->db, "second");
    OK(nx_engine_sync(nx_db_engine(h->db), &err));
    if (power)
        io_sim_plan_crash(sim, 1 + pick(h, 200), seed, note_crash, h);
    for (int i = 0; i < steps && !h->crashed; i++)
        do_step(h);
    disk = power ? io_sim_take_crash(sim) : io_sim_kill(sim);
    if (!disk) /* it did not come to that */
        disk = io_sim_crash(sim, seed);
    if (!h->crashed)
        h->synced_at_crash = h->synced;
    check_found(h, disk, power ? h->synced_at_crash : h->step);
    OK(nx_db_close(h->db, &err));
    io_sim_free(disk);
    io_sim_free(sim);
    free(h);
}

static int rounds(void)
{
    const char *text = getenv("NEXADB_TEST_SCALE");
    int value = text ? atoi(text) : 1;

    return value > 0 ? 40 * value : 40;
}

static void a_power_loss_leaves_a_whole_state_with_all_that_was_synced(void **state)
{
    (void)state;
    for (int i = 0; i < rounds(); i++)
        crash_once(1000 + (uint64_t)i, 100, true);
}

static void a_kill_loses_nothing_that_was_acknowledged(void **state)
{
    (void)state;
    for (int i = 0; i < rounds() / 4; i++)
        crash_once(2000 + (uint64_t)i, 30 + i, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_power_loss_leaves_a_whole_state_with_all_that_was_synced),
        cmocka_unit_test(a_kill_loses_nothing_that_was_acknowledged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
