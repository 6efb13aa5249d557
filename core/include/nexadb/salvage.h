/*
 * salvage.h - the tools for a database that is closed, whatever state its files are in: check,
 * repair, dump.
 *
 * None of them changes a file of the database. What they find is told a line at a time, each naming
 * the file and the offset.
 *
 * Threads: any; nobody else may write the directory meanwhile (NX_ELOCKED names who does).
 */
#ifndef NEXADB_SALVAGE_H
#define NEXADB_SALVAGE_H

#include <nexadb/db.h>

/* `line` has no newline and is borrowed. */
typedef void (*nx_line_fn)(void *arg, const char *line);

struct nx_check_counts {
    uint64_t tables, entries;  /* of the tree */
    uint64_t segments, frames; /* of the log */
    uint64_t file_bytes;       /* read and checked */
    uint64_t leftovers;        /* files that the next open removes */
    uint64_t faults;
};
/*
 * Read every byte of the engine's files and check checksums, the order of entries, indexes,
 * filters, counts, the levels, the chain of the log, and that the files that are named are those
 * that are there. NX_OK also when there are faults: they are told to `fault` and counted.
 */
NX_API enum nx_code nx_engine_check(const char *dir, struct nx_io *io, nx_line_fn fault, void *arg,
                                    struct nx_check_counts *out, struct nx_err *err);

struct nx_repair_counts {
    uint64_t tables, frames;  /* that something was read from */
    uint64_t entries;         /* keys written to the new database */
    uint64_t losses;          /* told to `loss` */
    uint64_t lost_blocks;     /* of tables */
    uint64_t mended, dropped; /* records of the store: made anew, and given up */
};
/*
 * Write whatever can be read of the database in `dir` to a new one in `new_dir`, which must not
 * exist or be empty. Of each key the newest version that is readable wins. Every loss is told.
 */
NX_API enum nx_code nx_engine_repair(const char *dir, const char *new_dir,
                                     const struct nx_engine_options *options, nx_line_fn loss,
                                     void *arg, struct nx_repair_counts *out, struct nx_err *err);
/* The same, and then what the store needs to fit together: names, nodes, counters. Documents of a
 * collection whose name is lost get one: "lost-<number>". */
NX_API enum nx_code nx_db_repair(const char *dir, const char *new_dir,
                                 const struct nx_db_options *options, nx_line_fn loss, void *arg,
                                 struct nx_repair_counts *out, struct nx_err *err);

/* Print one file of a database: a table, a log segment, a manifest or a marker; its name says
 * which. Of a damaged one what can be read; *faults counts what cannot. NX_EINVAL: no such kind. */
NX_API enum nx_code nx_dump_file(const char *path, struct nx_io *io, nx_line_fn fn, void *arg,
                                 uint64_t *faults, struct nx_err *err);

#endif
