/*
 * kv_reads.c - the read phases of the key-value benchmark by processor time: what one operation
 * costs its process. On a machine that others use as well, rates say how much of it was left over.
 *
 *   kv_reads ENGINE DIRECTORY CACHE_MIB
 *
 * The directory is loaded with set b when it is not there, and kept; it is settled (compacted)
 * first. Each phase does the same operations whatever the load; a line is engine, cache, phase,
 * microseconds an operation, and the median by the clock. It is the benchmark's driver with another
 * main.
 */
#define main driver_main
#include "driver.c"
#undef main

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void load(void *db)
{
    static char keys[MAX_BATCH][24], values[MAX_BATCH * DOC_MAX];
    void *session = opt.e->session(db);
    kv_op ops[MAX_BATCH];

    for (uint32_t done = 0; done < opt.n;) {
        size_t n = 0;

        for (; n < MAX_BATCH && done < opt.n; n++, done++) {
            const char *value;
            size_t len = make_val(values + n * DOC_MAX, &value, perm[done], 0);

            ops[n] = (kv_op){keys[n], make_key(keys[n], perm[done]), value, len};
        }
        if (opt.e->write(session, ops, n))
            fail("load");
    }
    opt.e->session_end(session);
}

static void report(const char *phase, double cpu, double ops, double p50)
{
    if (*phase)
        printf("%s\t%zu\t%s\t%.3f\t%.2f\n", opt.e->name, opt.cache_mb, phase, cpu * 1e6 / ops, p50);
}

static void scan_all(void *db, const char *phase)
{
    void *session = opt.e->session(db);
    double begin = cpu_seconds();
    seen sn = {0};

    if (opt.e->scan(session, "", 0, (size_t)-1, on_record, &sn) < (long)opt.n)
        fail("full scan");
    report(phase, cpu_seconds() - begin, (double)sn.n, 0);
    opt.e->session_end(session);
}

static const struct phase {
    const char *name; /* empty: to warm up */
    kind kind;
    int threads;
    uint64_t ops;
} phases[] = {
    {"", W_READ, 1, 200000},
    {"readrandom", W_READ, 1, 200000},
    {"readrandom, 2 threads", W_READ, 2, 200000},
    {"readrandom, 4 threads", W_READ, 4, 200000},
    {"readmissing", W_MISS, 1, 500000},
    {"seekrandom100", W_SCAN100, 1, 5000},
    {"", W_YCSB_C, 1, 200000},
    {"YCSB-C", W_YCSB_C, 1, 200000},
    {"YCSB-E", W_YCSB_E, 1, 10000},
    {"YCSB-A", W_YCSB_A, 1, 100000},
};

int main(int argc, char **argv)
{
    bool is_new;
    void *db;

    for (int i = 0; argc == 4 && i < engine_count; i++)
        if (strcmp(engines[i]->name, argv[1]) == 0)
            opt.e = engines[i];
    if (!opt.e) {
        fprintf(stderr, "usage: kv_reads ENGINE DIRECTORY CACHE_MIB\n");
        return 2;
    }
    opt.set = 'b';
    opt.n = 500000;
    opt.dir = argv[2];
    opt.cache_mb = (size_t)atol(argv[3]);
    res = mmap(NULL, sizeof *res, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    calibrate();
    make_data();
    is_new = mkdir(opt.dir, 0755) == 0;
    db = open_or_die(false);
    if (is_new)
        load(db);
    if (opt.e->settle(db))
        fail("settle");
    atomic_store(&fresh_id, opt.n);
    scan_all(db, "");
    scan_all(db, "readseq");
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        const struct phase *p = &phases[i];
        double begin = cpu_seconds();
        uint64_t ops = run_phase(p->name, p->kind, db, p->threads, 1, p->ops, 1e9, 0, false);

        report(p->name, cpu_seconds() - begin, (double)ops, res->row[0].p50);
        res->rows = 0;
    }
    opt.e->close(db);
    return atomic_load(&res->errors) ? 1 : 0;
}
