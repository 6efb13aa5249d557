/*
 * command_salvage.c - check, repair, dump: for a data directory that nobody serves.
 *
 * A repair's losses go to stderr and to DATADIR/repair.txt of the new database.
 */
#include <stdio.h>
#include <string.h>

#include <nexadb/salvage.h>

#include "daemon/command.h"
#include "daemon/datadir.h"
#include "daemon/whole_file.h"

enum { EXIT_LOSSES = 3 };

static void print_line(void *arg, const char *line)
{
    fprintf(arg, "%s\n", line);
}

static void set_options(const struct cli *cli, struct nx_db_options *options)
{
    nx_db_options_init(options);
    options->engine.cache_bytes = cli->config.cache_bytes;
    options->engine.memtable_bytes = cli->config.memtable_bytes;
}

/* --- check --------------------------------------------------------------------------------------
 */

static enum nx_code check_store(const struct cli *cli, struct nx_err *err)
{
    struct nx_db_options options;
    struct nx_db *db;
    enum nx_code rc, closed;

    set_options(cli, &options);
    options.engine.create = false;
    options.engine.read_only = true;
    rc = nx_db_open(cli->argv[0], &options, &db, err);
    if (rc != NX_OK)
        return rc;
    rc = nx_db_verify(db, err);
    closed = nx_db_close(db, rc == NX_OK ? err : NULL);
    return rc == NX_OK ? closed : rc;
}

int command_check(struct cli *cli)
{
    struct nx_check_counts counts;
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc = datadir_check(cli->argv[0], false, &err);

    if (rc == NX_OK)
        rc = nx_engine_check(cli->argv[0], NULL, print_line, stderr, &counts, &err);
    if (rc != NX_OK)
        return cli_fail(cli, &err);
    printf("%s: %llu tables with %llu entries, %llu log frames, %llu bytes checked\n", cli->argv[0],
           (unsigned long long)counts.tables, (unsigned long long)counts.entries,
           (unsigned long long)counts.frames, (unsigned long long)counts.file_bytes);
    if (counts.leftovers)
        printf("%s: %llu files are left over; the next start removes them\n", cli->argv[0],
               (unsigned long long)counts.leftovers);
    if (counts.faults) {
        fprintf(stderr, "%s: %llu faults; 'nexadb repair' saves what can be read\n", cli->argv[0],
                (unsigned long long)counts.faults);
        return EXIT_FAILED;
    }
    rc = check_store(cli, &err);
    if (rc != NX_OK)
        return cli_fail(cli, &err);
    printf("%s: no fault found\n", cli->argv[0]);
    return EXIT_DONE;
}

/* --- repair -------------------------------------------------------------------------------------
 */

struct report {
    struct nx_buf text;
    bool is_cut; /* out of memory */
};

static void add_line(void *arg, const char *line)
{
    struct report *report = arg;

    fprintf(stderr, "%s\n", line);
    if (nx_buf_printf(&report->text, "%s\n", line) != NX_OK)
        report->is_cut = true;
}

/* The keys of the API are not data of the engine; without them every client would be locked out. */
static void copy_file(const struct cli *cli, const char *name)
{
    struct nx_buf content NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf from NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf to NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc;

    if (nx_buf_printf(&from, "%s/%s%c", cli->argv[0], name, 0) != NX_OK ||
        nx_buf_printf(&to, "%s/%s%c", cli->argv[1], name, 0) != NX_OK)
        return;
    rc = whole_file_read((const char *)from.data, &content, &err);
    if (rc == NX_ENOTFOUND)
        return;
    if (rc == NX_OK)
        rc = whole_file_replace((const char *)to.data, nx_buf_slice(&content), &err);
    if (rc != NX_OK)
        fprintf(stderr, "nexadb repair: '%s' is not copied: %s\n", name, err.message);
}

static enum nx_code write_report(const struct cli *cli, struct report *report,
                                 const struct nx_repair_counts *counts, struct nx_err *err)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    if (nx_buf_printf(&path, "%s/repair.txt%c", cli->argv[1], 0) != NX_OK ||
        nx_buf_printf(&report->text,
                      "%llu losses; %llu keys from %llu tables and %llu log frames; %llu blocks "
                      "lost; records of the store: %llu made anew, %llu given up%s\n",
                      (unsigned long long)counts->losses, (unsigned long long)counts->entries,
                      (unsigned long long)counts->tables, (unsigned long long)counts->frames,
                      (unsigned long long)counts->lost_blocks, (unsigned long long)counts->mended,
                      (unsigned long long)counts->dropped,
                      report->is_cut ? " (lines are missing: out of memory)" : "") != NX_OK)
        return nx_fail_nomem(err);
    return whole_file_replace((const char *)path.data, nx_buf_slice(&report->text), err);
}

int command_repair(struct cli *cli)
{
    struct report report = {0};
    struct nx_repair_counts counts;
    struct nx_db_options options;
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc;

    set_options(cli, &options);
    rc = nx_db_repair(cli->argv[0], cli->argv[1], &options, add_line, &report, &counts, &err);
    if (rc == NX_OK) {
        copy_file(cli, "keys.json");
        copy_file(cli, "api.key");
        rc = write_report(cli, &report, &counts, &err);
    }
    nx_buf_fini(&report.text);
    if (rc != NX_OK)
        return cli_fail(cli, &err);
    printf("%s: %llu keys saved, %s\n", cli->argv[1], (unsigned long long)counts.entries,
           counts.losses ? "with losses: see repair.txt in it" : "nothing lost");
    return counts.losses ? EXIT_LOSSES : EXIT_DONE;
}

/* --- dump ---------------------------------------------------------------------------------------
 */

int command_dump(struct cli *cli)
{
    struct nx_err err = NX_ERR_INIT;
    uint64_t faults;
    enum nx_code rc = nx_dump_file(cli->argv[0], NULL, print_line, stdout, &faults, &err);

    if (rc == NX_OK && fflush(stdout))
        rc = nx_fail(&err, NX_EIO, "the output cannot be written");
    if (rc != NX_OK)
        return cli_fail(cli, &err);
    if (faults)
        fprintf(stderr, "nexadb dump: %llu faults in '%s'\n", (unsigned long long)faults,
                cli->argv[0]);
    return faults ? EXIT_FAILED : EXIT_DONE;
}
