/*
 * magic.c - the table of magic files, their numbers and attributes.
 *
 * They are resolved by lookup and, unless the mount says so, never listed: tar, rsync and grep -r
 * do not meet them. Opens use direct I/O with size 0, as procfs does.
 */
#include "fs/magic.h"

#include <errno.h>
#include <string.h>

#include "fs/find.h"
#include "fs/handle.h"
#include "fs/reply.h"

static const struct magic rows[] = {
    [MAGIC_QUERY] = {".query", MAGIC_IN_COLLECTION, magic_query_open,
                     "a filter, then optionally {\"projection\",\"sort\",\"skip\",\"limit\","
                     "\"explain\"}",
                     "the matching documents, one a line",
                     "echo '{\"%n\":{\"$gt\":%v}}' > .query; cat .query"},
    [MAGIC_AGGREGATE] = {".aggregate", MAGIC_IN_COLLECTION, magic_query_open,
                         "a pipeline: an array of stages", "its documents, one a line",
                         "echo '[{\"$sortByCount\":\"$%t\"}]' > .aggregate; cat .aggregate"},
    [MAGIC_VSEARCH] = {".vsearch", MAGIC_IN_COLLECTION, magic_query_open,
                       "{\"vector\":[...]} or {\"like\":id}, with \"field\",\"k\",\"filter\","
                       "\"metric\",\"exact\",\"ef\"",
                       "the nearest documents, nearest first",
                       "echo '{\"like\":\"%i\",\"k\":5}' > .vsearch; cat .vsearch"},
    [MAGIC_UPDATE] = {".update", MAGIC_IN_COLLECTION | MAGIC_CHANGES, magic_query_open,
                      "{\"filter\",\"update\",\"multi\",\"upsert\",\"arrayFilters\"}",
                      "the result of the last update",
                      "echo '{\"filter\":{\"%n\":%v},\"update\":{\"$inc\":{\"%n\":1}},"
                      "\"multi\":true}' > .update; cat .update"},
    [MAGIC_IMPORT] = {".import", MAGIC_IN_COLLECTION | MAGIC_CHANGES, magic_import_open,
                      "documents, one a line or one array; ids that exist are replaced",
                      "the counts of the last import", "cat more.ndjson > .import; cat .import"},
    [MAGIC_EXPORT_NDJSON] = {".export.ndjson", MAGIC_IN_COLLECTION | MAGIC_IN_FIND,
                             magic_export_open, NULL, "every document, one a line", NULL},
    [MAGIC_EXPORT_JSON] = {".export.json", MAGIC_IN_COLLECTION | MAGIC_IN_FIND, magic_export_open,
                           NULL, "every document, as one array", NULL},
    [MAGIC_EXPORT_CSV] = {".export.csv", MAGIC_IN_COLLECTION | MAGIC_IN_FIND, magic_export_open,
                          NULL, "every document, as a table with a line of names", NULL},
    [MAGIC_COUNT] = {".count", MAGIC_IN_COLLECTION | MAGIC_IN_FIND, magic_info_open, NULL,
                     "the number of documents", NULL},
    [MAGIC_STATS] = {".stats", MAGIC_IN_COLLECTION | MAGIC_IN_ROOT, magic_info_open, NULL,
                     "sizes and figures of the engine", NULL},
    [MAGIC_SCHEMA] = {".schema", MAGIC_IN_COLLECTION, magic_info_open, NULL,
                      "the fields, their types and how many documents have them", NULL},
    [MAGIC_ERRORS] = {".errors", MAGIC_IN_COLLECTION | MAGIC_IN_ROOT, magic_info_open,
                      "nothing: truncating it clears it",
                      "the newest 100 errors: what was wrong, and where", "tail -n 1 .errors"},
    [MAGIC_HELP] = {".help", MAGIC_IN_COLLECTION | MAGIC_IN_ROOT, magic_info_open, NULL,
                    "this table", NULL},
    [MAGIC_REJECTED] = {".rejected", MAGIC_IN_COLLECTION | MAGIC_IS_FOLDER, NULL, NULL,
                        "what was refused as a document, as <name>.<n>, until you remove it",
                        "ls .rejected"},
    [MAGIC_SNAPSHOTS] = {".snapshots", MAGIC_IN_ROOT | MAGIC_IS_FOLDER | MAGIC_IS_LIVE, NULL,
                         "nothing: mkdir .snapshots/NAME makes one, rmdir drops it",
                         "all collections as they were: .snapshots/NAME/COLLECTION/ID.json",
                         "mkdir .snapshots/nightly; rsync -a .snapshots/nightly/ /backup/"},
    [MAGIC_FIND] =
        {".find", MAGIC_IN_COLLECTION | MAGIC_IS_FOLDER, NULL, NULL,
         "a query as a path: field=value, !=, >, >=, <, <=, field~regex, field?, @sort=, "
         "@skip=, @limit=, @fields=, @json=",
         "ls -U '.find/%n>=%v/@sort=-%n/@limit=10'"},
    [MAGIC_FEED] = {".changes", MAGIC_IN_COLLECTION | MAGIC_IN_ROOT | MAGIC_IS_LIVE,
                    magic_changes_open, NULL,
                    "what changed, one JSON object a line; it grows with every change",
                    "tail -n 0 -f .changes"},
};
_Static_assert(sizeof rows / sizeof rows[0] == MAGIC_KINDS, "a row for each kind");

const struct magic *magic_row(unsigned index)
{
    return index < MAGIC_KINDS ? &rows[index] : NULL;
}

enum magic_kind magic_kind_of(const struct magic *magic)
{
    return (enum magic_kind)(magic - rows);
}

static const struct magic *row_named(const char *name)
{
    for (size_t i = 0; i < MAGIC_KINDS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

bool magic_is_name(const char *name)
{
    return name[0] == '.' && row_named(name) != NULL;
}

const struct magic *magic_find(struct fs *fs, enum nx_kind dir_kind, bool is_live, const char *name)
{
    unsigned where = dir_kind == NX_KIND_ROOT         ? MAGIC_IN_ROOT
                     : dir_kind == NX_KIND_COLLECTION ? MAGIC_IN_COLLECTION
                                                      : 0;
    const struct magic *row = where && fs->options.magic != FS_MAGIC_OFF ? row_named(name) : NULL;

    if (!row || !(row->flags & where) || (!is_live && (row->flags & MAGIC_IS_LIVE)))
        return NULL;
    return row;
}

enum nx_code magic_of(fuse_ino_t ino, const struct magic **out, struct nx_err *err)
{
    uint64_t kind = place_is_find(ino) ? (ino & PLACE_NUMBER_MASK) - PLACE_FIND_MAGIC
                                       : (ino >> PLACE_KIND_SHIFT) - 1;

    *out = kind < MAGIC_KINDS ? magic_row((unsigned)kind) : NULL;
    return *out ? NX_OK
                : nx_fail(err, NX_ENOTFOUND, "no magic file has number %ju", (uintmax_t)ino);
}

void magic_attr(const struct magic *magic, const struct nx_attr *dir, struct nx_attr *out)
{
    bool is_folder = (magic->flags & MAGIC_IS_FOLDER) != 0;

    *out = *dir;
    out->ino = magic_ino(magic_kind_of(magic), dir->ino);
    out->parent = dir->ino;
    out->kind = is_folder ? NX_KIND_DIRECTORY : NX_KIND_FILE;
    out->mode = is_folder ? dir->mode & 0777 : dir->mode & 0666;
    out->nlink = is_folder ? 2 : 1;
    if (magic == &rows[MAGIC_FEED] && dir->ino == NX_ROOT_INO)
        out->mode &= 0600; /* it names what is in directories that others may not read */
    out->size = 0;
}

enum nx_code magic_stat(struct fs *fs, fuse_ino_t ino, struct nx_attr *out, struct nx_err *err)
{
    const struct magic *magic;
    struct nx_attr dir;
    struct fs_place place;
    enum nx_code rc;

    if (place_is_find(ino))
        return find_stat(fs, ino, out, err);
    rc = magic_of(ino, &magic, err);
    if (rc == NX_OK)
        rc = place_open(fs, ino, &place, err);
    if (rc != NX_OK)
        return rc;
    rc = place_stat(fs, &place, &dir, err);
    place_close(&place);
    if (rc == NX_OK)
        magic_attr(magic, &dir, out);
    return rc;
}

void magic_open_file(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    struct fs *fs = fs_of(req);
    struct nx_err err = NX_ERR_INIT;
    const struct magic *magic;
    struct handle *handle;
    enum nx_code rc = magic_of(ino, &magic, &err);

    if (rc == NX_OK && (fs->options.read_only || place_snapshot(ino)) &&
        (magic->flags & MAGIC_CHANGES) && (file->flags & O_ACCMODE) != O_RDONLY)
        rc = nx_fail(&err, NX_EROFS, "%s: %s is read-only", magic->name,
                     place_snapshot(ino) ? "a snapshot" : "the mount");
    if (rc == NX_OK && (file->flags & O_ACCMODE) != O_RDONLY && !magic->write_help)
        rc = nx_fail(&err, NX_EACCES, "%s is for reading", magic->name);
    if (rc == NX_OK && !magic->open)
        rc = nx_fail(&err, NX_EISDIR, "%s is a directory", magic->name);
    if (rc != NX_OK) {
        reply_fail(req, "open", &err);
        return;
    }
    handle = magic->open(fs, magic, magic_dir(ino), req, file->flags, &err);
    if (!handle) {
        reply_fail(req, magic->name, &err);
        return;
    }
    file->fh = (uintptr_t)handle;
    file->direct_io = 1;
    file->noflush = !handle_is_writer(handle);
    handle_reply_open(req, file);
}
