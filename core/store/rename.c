/* rename.c - moving and exchanging names. What moves and what the new name stands for choose one
 * of:
 *
 *            to a plain name                      to a document's name
 *   plain    the entry moves                      the file is parsed and becomes the document
 *   document becomes a file of its text           the record moves to the new id
 *
 * The whole change is one batch under the names lock and the locks of both directories. */
#include "store/body.h"
#include "store/place.h"
#include "store/tree.h"
#include "store/xattr.h"

struct move {
    struct tx *tx;
    struct place from, to;
    unsigned flags;
};

/* Replacing changes a directory too, though no name comes or goes. */
static enum nx_code touch_directory(struct tx *tx, nx_ino ino, struct nx_err *err)
{
    struct tx_dir *dir;
    enum nx_code rc = tx_dir(tx, ino, &dir, err);

    if (rc == NX_OK)
        tx_touch(tx, dir);
    return rc;
}

/* --- plain -> plain --------------------------------------------------------------------------- */

/* The node after it moved to `to`: a directory knows where it is and what it is. */
static enum nx_code relocate(struct tx *tx, struct place *from, const struct place *to,
                             enum nx_kind *kind, struct nx_err *err)
{
    bool below;
    enum nx_code rc;

    *kind = from->node.kind;
    from->node.ctime_ns = tx->now_ns;
    if (!place_is_directory(from)) {
        tx_put_node(tx, from->entry.ino, &from->node);
        return NX_OK;
    }
    rc = tree_is_below(tx->db, to->dir, from->entry.ino, &below, err);
    if (rc == NX_OK && below)
        return nx_fail(err, NX_EINVAL, "'%.*s' cannot be moved below itself", NAME_ARG(from->name));
    if (rc == NX_OK)
        rc = name_directory_kind(to->dir_kind, to->name, kind, err);
    if (rc == NX_OK && *kind != from->node.kind)
        rc = tree_change_kind(tx, from->entry.ino, *kind, err);
    if (rc != NX_OK)
        return rc;
    from->node.kind = *kind;
    from->node.parent = to->dir;
    from->node.label = to->name;
    tx_put_node(tx, from->entry.ino, &from->node);
    return NX_OK;
}

static enum nx_code check_replace(struct move *move, struct nx_err *err)
{
    bool directory = place_is_directory(&move->from);

    if (!move->to.exists)
        return NX_OK;
    if (directory && !place_is_directory(&move->to))
        return nx_fail(err, NX_ENOTDIR, "'%.*s' is not a directory", NAME_ARG(move->to.name));
    if (!directory && place_is_directory(&move->to))
        return nx_fail(err, NX_EISDIR, "'%.*s' is a directory", NAME_ARG(move->to.name));
    return directory ? place_check_empty(move->tx, &move->to, err) : NX_OK;
}

/* A directory's own change time. */
static enum nx_code touch_moved(struct tx *tx, const struct place *place, struct nx_err *err)
{
    struct tx_dir *dir;
    enum nx_code rc;

    if (!place_is_directory(place))
        return NX_OK;
    rc = tx_dir(tx, place->entry.ino, &dir, err);
    if (rc == NX_OK) {
        dir->counters.ctime_ns = tx->now_ns;
        dir->changed = true;
    }
    return rc;
}

static enum nx_code move_plain(struct move *move, struct nx_err *err)
{
    struct tx *tx = move->tx;
    struct node before = move->from.node;
    enum nx_kind kind;
    enum nx_code rc = check_replace(move, err);

    if (rc == NX_OK)
        rc = touch_moved(tx, &move->from, err);
    if (rc == NX_OK)
        rc = relocate(tx, &move->from, &move->to, &kind, err);
    if (rc == NX_OK)
        rc = place_remove_plain(tx, &move->from, err);
    if (rc == NX_OK && move->to.exists)
        rc = place_remove(tx, &move->to, err);
    if (rc == NX_OK)
        rc = place_put_plain(tx, &move->to, move->from.entry.ino, kind, err);
    if (rc == NX_OK)
        tx_change_directory(tx, kind, move->from.entry.ino, &before);
    if (rc == NX_OK)
        tx_event_rename(tx, kind, move->from.entry.ino, move->from.dir, move->from.name,
                        move->to.dir, move->to.name);
    return rc;
}

/* Numbers of nodes and revisions come from one sequence, so they tell what was first. */
static enum nx_code check_older(const struct move *move, nx_ino source, struct nx_err *err)
{
    const struct place *to = &move->to;

    if (!(move->flags & NX_RENAME_IF_OLDER) || !to->exists || to->header.flags & DOC_DRAFT ||
        to->header.revision < source)
        return NX_OK;
    return nx_fail(err, NX_ECONFLICT,
                   "'%.*s' was changed after the file that would replace it was made",
                   NAME_ARG(to->name));
}

/* --- plain -> document ------------------------------------------------------------------------ */

static void header_of_file(const struct tx *tx, const struct node *node, const struct body *body,
                           struct doc_header *out)
{
    *out = (struct doc_header){
        .flags = body->flags,
        .layout = body->layout,
        .mode = node->mode,
        .uid = node->uid,
        .gid = node->gid,
        .mtime_ns = node->mtime_ns,
        .atime_ns = node->atime_ns,
        .ctime_ns = tx->now_ns,
        .text_bytes = body->text_bytes,
        .bson_bytes = (uint32_t)body->bson.len,
    };
}

/* The text of a plain file as a document's body; an empty one makes a draft. */
static enum nx_code parse_file(struct tx *tx, const struct place *file, const struct place *doc,
                               struct nx_buf *text, struct body_work *work, struct body *body,
                               struct nx_err *err)
{
    struct nx_id id;
    enum nx_code rc;

    if (file->node.kind != NX_KIND_FILE)
        return nx_fail(err, place_is_directory(file) ? NX_ENAME : NX_EPERM,
                       "'%.*s' is a document's name: only a plain file can take it",
                       NAME_ARG(doc->name));
    if (file->node.size == 0) {
        *body = (struct body){.flags = DOC_DRAFT};
        if (doc->exists && !(doc->header.flags & DOC_DRAFT))
            return nx_fail(err, NX_EINVAL, "an empty file cannot replace the document '%.*s'",
                           NAME_ARG(doc->name));
        return NX_OK;
    }
    rc = file_read_all(tx->db, file->entry.ino, &file->node, NX_DOC_MAX_BYTES, text, err);
    if (rc != NX_OK)
        return rc;
    return body_of_text(tx->db->io, nx_buf_slice(text), &doc->id, work, &id, body, err);
}

/* The number of the document that a file becomes: that of the document it replaces, of one renamed
 * away a moment ago, of the file itself when nothing else needs it, or a new one. */
static enum nx_code choose_number(struct tx *tx, const struct place *file, const struct place *doc,
                                  struct doc_header *header, bool *keeps_file, bool *updated,
                                  struct nx_err *err)
{
    uint64_t fresh;
    enum nx_code rc = numbers_take(&tx->db->numbers, 2, &fresh, err);

    *keeps_file = false;
    header->revision = fresh + 1;
    if (rc != NX_OK)
        return rc;
    if (header->flags & DOC_DRAFT)
        header->ino = tx_reborn_draft(tx, doc->dir, id_slice(&doc->id));
    else if (!place_has_document(doc))
        header->ino = tx_reborn(tx, doc->dir, id_slice(&doc->id), updated);
    if (doc->exists)
        header->ino = doc->header.ino;
    if (header->ino)
        return NX_OK;
    *keeps_file = file->node.nlink == 1 && !pins_held(&tx->db->pins, file->entry.ino);
    header->ino = *keeps_file ? file->entry.ino : fresh;
    return NX_OK;
}

/* Without its name, the file goes; as a document it keeps its number but not its data. */
static void let_file_go(struct tx *tx, struct place *file, bool keeps_number)
{
    if (!keeps_number)
        file_unlink(tx, file->entry.ino, &file->node);
    else
        file_delete_data(tx, file->entry.ino, &file->node);
}

static enum nx_code commit_file(struct move *move, struct nx_err *err)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct body_work work NX_CLEANUP(body_work_fini) = {.parsed = NX_BUF_INIT};
    struct tx *tx = move->tx;
    struct doc_header header;
    struct body body;
    bool keeps_number, updated = place_has_document(&move->to);
    enum nx_code rc = parse_file(tx, &move->from, &move->to, &text, &work, &body, err);

    if (rc == NX_OK)
        rc = check_older(move, move->from.entry.ino, err);
    if (rc != NX_OK)
        return rc;
    header_of_file(tx, &move->from.node, &body, &header);
    rc = choose_number(tx, &move->from, &move->to, &header, &keeps_number, &updated, err);
    if (rc == NX_OK)
        rc = place_remove_plain(tx, &move->from, err);
    if (rc == NX_OK && !keeps_number)
        rc = xattr_copy(tx, move->from.entry.ino, header.ino, err);
    if (rc != NX_OK)
        return rc;
    let_file_go(tx, &move->from, keeps_number);
    rc = place_put_document(tx, &move->to, &header, body.bson, body.source, err);
    if (rc == NX_OK)
        rc = touch_directory(tx, move->to.dir, err);
    if (rc == NX_OK)
        tx_change_document(tx, updated, !(header.flags & DOC_DRAFT), move->to.dir,
                           id_slice(&move->to.id));
    if (rc == NX_OK)
        tx_event_rename(tx, header.flags & DOC_DRAFT ? NX_KIND_DRAFT : NX_KIND_DOCUMENT, header.ino,
                        move->from.dir, move->from.name, move->to.dir, move->to.name);
    return rc;
}

/* --- document -> plain ------------------------------------------------------------------------ */

static enum nx_code put_text_file(struct tx *tx, const struct place *doc, nx_ino ino,
                                  struct nx_err *err)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    const struct doc_header *header = &doc->header;
    struct node node = {.kind = NX_KIND_FILE,
                        .mode = header->mode,
                        .uid = header->uid,
                        .gid = header->gid,
                        .nlink = 1,
                        .mtime_ns = header->mtime_ns,
                        .atime_ns = header->atime_ns,
                        .ctime_ns = tx->now_ns};
    enum nx_code rc = body_append_text(header, id_slice(&doc->id), place_body(doc), &text, err);

    if (rc != NX_OK)
        return rc;
    file_put_all(tx, ino, &node, nx_buf_slice(&text));
    tx_put_node(tx, ino, &node);
    return NX_OK;
}

static enum nx_code move_away(struct move *move, struct nx_err *err)
{
    struct tx *tx = move->tx;
    nx_ino ino;
    enum nx_code rc;

    if (place_is_directory(&move->to))
        return nx_fail(err, NX_EISDIR, "'%.*s' is a directory", NAME_ARG(move->to.name));
    rc = numbers_take(&tx->db->numbers, 1, &ino, err);
    if (rc == NX_OK)
        rc = put_text_file(tx, &move->from, ino, err);
    if (rc == NX_OK)
        rc = xattr_copy(tx, move->from.header.ino, ino, err);
    if (rc == NX_OK)
        rc = place_remove_document(tx, &move->from, true, err);
    if (rc == NX_OK && move->to.exists)
        rc = place_remove(tx, &move->to, err);
    if (rc == NX_OK)
        rc = place_put_plain(tx, &move->to, ino, NX_KIND_FILE, err);
    if (rc != NX_OK)
        return rc;
    tx_hold(tx, move->from.dir, &move->from.id, move->from.header.ino);
    tx_change_document(tx, place_has_document(&move->from), false, move->from.dir,
                       id_slice(&move->from.id));
    tx_event_rename(tx, NX_KIND_FILE, ino, move->from.dir, move->from.name, move->to.dir,
                    move->to.name);
    return NX_OK;
}

/* --- document -> document --------------------------------------------------------------------- */

/* The body under another id: a text that begins with _id stays as it is. */
static enum nx_code body_for_id(struct tx *tx, const struct place *from, const struct nx_id *id,
                                struct nx_buf *text, struct body_work *work, struct body *out,
                                struct nx_err *err)
{
    const struct doc_header *header = &from->header;
    struct nx_slice stored = place_body(from);
    struct nx_id same;
    enum nx_code rc;

    if (!(header->flags & DOC_ID_IN_TEXT)) {
        *out = (struct body){
            .flags = header->flags & DOC_DRAFT,
            .layout = header->layout,
            .text_bytes = header->text_bytes,
            .bson = nx_slice(stored.data, header->bson_bytes),
            .source = nx_slice(stored.data + header->bson_bytes, stored.len - header->bson_bytes)};
        return NX_OK;
    }
    rc = body_append_text(header, id_slice(&from->id), stored, text, err);
    return rc == NX_OK ? body_of_text(tx->db->io, nx_buf_slice(text), id, work, &same, out, err)
                       : rc;
}

/* `from`'s document under `to`'s name, with its attributes and the number `ino`. */
static enum nx_code copy_document(struct tx *tx, const struct place *from, const struct place *to,
                                  nx_ino ino, struct nx_err *err)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct body_work work NX_CLEANUP(body_work_fini) = {.parsed = NX_BUF_INIT};
    struct doc_header header = from->header;
    struct body body;
    enum nx_code rc = body_for_id(tx, from, &to->id, &text, &work, &body, err);

    if (rc == NX_OK)
        rc = numbers_take(&tx->db->numbers, 1, &header.revision, err);
    if (rc != NX_OK)
        return rc;
    header.flags = body.flags;
    header.layout = body.layout;
    header.text_bytes = body.text_bytes;
    header.bson_bytes = (uint32_t)body.bson.len;
    header.ino = ino;
    header.ctime_ns = tx->now_ns;
    return place_put_document(tx, to, &header, body.bson, body.source, err);
}

static enum nx_code move_document(struct move *move, struct nx_err *err)
{
    struct tx *tx = move->tx;
    enum nx_code rc;

    if (move->from.header.flags & DOC_DRAFT && move->to.exists &&
        !(move->to.header.flags & DOC_DRAFT))
        return nx_fail(err, NX_EINVAL, "an empty file cannot replace the document '%.*s'",
                       NAME_ARG(move->to.name));
    rc = check_older(move, move->from.header.ino, err);
    if (rc == NX_OK)
        rc = place_remove_document(tx, &move->from, false, err);
    if (rc == NX_OK)
        rc = copy_document(tx, &move->from, &move->to, move->from.header.ino, err);
    if (rc == NX_OK)
        rc = touch_directory(tx, move->to.dir, err);
    if (rc != NX_OK)
        return rc;
    tx_change_document(tx, place_has_document(&move->from), false, move->from.dir,
                       id_slice(&move->from.id));
    tx_change_document(tx, place_has_document(&move->to), place_has_document(&move->from),
                       move->to.dir, id_slice(&move->to.id));
    tx_event_rename(tx, place_kind(&move->from), move->from.header.ino, move->from.dir,
                    move->from.name, move->to.dir, move->to.name);
    return NX_OK;
}

/* --- exchange --------------------------------------------------------------------------------- */

static enum nx_code exchange_plain(struct move *move, struct nx_err *err)
{
    struct tx *tx = move->tx;
    struct node from_before = move->from.node, to_before = move->to.node;
    enum nx_kind from_kind, to_kind;
    enum nx_code rc = touch_moved(tx, &move->from, err);

    if (rc == NX_OK)
        rc = touch_moved(tx, &move->to, err);
    if (rc == NX_OK)
        rc = relocate(tx, &move->from, &move->to, &from_kind, err);
    if (rc == NX_OK)
        rc = relocate(tx, &move->to, &move->from, &to_kind, err);
    if (rc == NX_OK)
        rc = place_remove_plain(tx, &move->from, err);
    if (rc == NX_OK)
        rc = place_remove_plain(tx, &move->to, err);
    if (rc == NX_OK)
        rc = place_put_plain(tx, &move->to, move->from.entry.ino, from_kind, err);
    if (rc == NX_OK)
        rc = place_put_plain(tx, &move->from, move->to.entry.ino, to_kind, err);
    if (rc != NX_OK)
        return rc;
    tx_change_directory(tx, from_kind, move->from.entry.ino, &from_before);
    tx_change_directory(tx, to_kind, move->to.entry.ino, &to_before);
    return NX_OK;
}

static enum nx_code exchange_documents(struct move *move, struct nx_err *err)
{
    struct tx *tx = move->tx;
    enum nx_code rc = copy_document(tx, &move->from, &move->to, move->from.header.ino, err);

    if (rc == NX_OK)
        rc = copy_document(tx, &move->to, &move->from, move->to.header.ino, err);
    if (rc != NX_OK)
        return rc;
    /* the second copy replaced a document of this number, the first one of the other's */
    tx_put_document_node(tx, move->from.header.ino, move->to.dir, id_slice(&move->to.id));
    tx_change_document(tx, place_has_document(&move->from), place_has_document(&move->to),
                       move->from.dir, id_slice(&move->from.id));
    tx_change_document(tx, place_has_document(&move->to), place_has_document(&move->from),
                       move->to.dir, id_slice(&move->to.id));
    rc = xattr_copy(tx, move->from.header.ino, move->from.header.ino, err);
    return rc == NX_OK ? xattr_copy(tx, move->to.header.ino, move->to.header.ino, err) : rc;
}

/* The contents change places; each name keeps its number. */
static enum nx_code exchange_file(struct tx *tx, struct place *file, struct place *doc,
                                  struct nx_err *err)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct body_work work NX_CLEANUP(body_work_fini) = {.parsed = NX_BUF_INIT};
    struct doc_header header;
    struct body body;
    enum nx_code rc = NX_OK;

    if (file->node.nlink > 1 || file->node.size == 0)
        return nx_fail(err, NX_EINVAL,
                       "'%.*s' is empty or has several names: it cannot be "
                       "exchanged with a document",
                       NAME_ARG(file->name));
    rc = parse_file(tx, file, doc, &text, &work, &body, err);
    if (rc != NX_OK)
        return rc;
    header_of_file(tx, &file->node, &body, &header);
    header.ino = doc->header.ino;
    rc = numbers_take(&tx->db->numbers, 1, &header.revision, err);
    if (rc != NX_OK)
        return rc;
    file_delete_data(tx, file->entry.ino, &file->node);
    rc = put_text_file(tx, doc, file->entry.ino, err);
    if (rc == NX_OK)
        rc = xattr_swap(tx, file->entry.ino, doc->header.ino, err);
    tx_change_document(tx, place_has_document(doc), true, doc->dir, id_slice(&doc->id));
    return rc == NX_OK ? place_put_document(tx, doc, &header, body.bson, body.source, err) : rc;
}

static enum nx_code exchange_contents(struct move *move, struct nx_err *err)
{
    struct place *from = &move->from, *to = &move->to;

    if (from->is_document && to->is_document)
        return exchange_documents(move, err);
    if (from->is_document)
        return exchange_file(move->tx, to, from, err);
    if (to->is_document)
        return exchange_file(move->tx, from, to, err);
    return exchange_plain(move, err);
}

static enum nx_code exchange(struct move *move, struct nx_err *err)
{
    struct place *from = &move->from, *to = &move->to;
    enum nx_code rc;

    if (!to->exists)
        return place_absent(to, err);
    rc = exchange_contents(move, err);
    if (rc != NX_OK)
        return rc;
    tx_event(move->tx, NX_EVENT_UPDATE, place_kind(from), place_ino(from), from->dir, from->name);
    tx_event(move->tx, NX_EVENT_UPDATE, place_kind(to), place_ino(to), to->dir, to->name);
    return NX_OK;
}

/* --- the call --------------------------------------------------------------------------------- */

static bool is_same_name(const struct move *move)
{
    return move->from.dir == move->to.dir && nx_slice_equal(move->from.name, move->to.name);
}

/* rename(2): two names of one file, and nothing is done. */
static bool is_same_file(const struct move *move)
{
    return !move->from.is_document && !move->to.is_document && move->to.exists &&
           move->from.entry.ino == move->to.entry.ino;
}

static enum nx_code dispatch(struct move *move, struct nx_err *err)
{
    if (move->flags & NX_RENAME_EXCHANGE)
        return exchange(move, err);
    if (!move->from.is_document)
        return move->to.is_document ? commit_file(move, err) : move_plain(move, err);
    return move->to.is_document ? move_document(move, err) : move_away(move, err);
}

static enum nx_code rename_locked(struct move *move, struct nx_err *err)
{
    enum nx_code rc = place_load(move->tx, &move->from, err);

    if (rc == NX_OK)
        rc = place_load(move->tx, &move->to, err);
    if (rc == NX_OK && !move->from.exists)
        return place_absent(&move->from, err);
    if (rc != NX_OK)
        return rc;
    if (move->to.exists && move->flags & NX_RENAME_NOREPLACE)
        return nx_fail(err, NX_EEXISTS, "'%.*s' exists already", NAME_ARG(move->to.name));
    if (is_same_name(move) || is_same_file(move))
        return NX_OK;
    return dispatch(move, err);
}

/* What has to be locked: a directory that changes sides takes everything below it along. */
static uint64_t stripes_of(const struct move *move)
{
    bool from_plain = move->from.dir_kind == NX_KIND_DIRECTORY || move->from.name.data[0] == '.';
    bool to_plain = move->to.dir_kind == NX_KIND_DIRECTORY || move->to.name.data[0] == '.';

    if (from_plain != to_plain && !move->from.is_document && !move->to.is_document)
        return STRIPES_ALL;
    return place_stripes(&move->from) | place_stripes(&move->to);
}

static enum nx_code find_both(struct move *move, nx_ino from_parent, struct nx_slice from,
                              nx_ino to_parent, struct nx_slice to, struct nx_err *err)
{
    struct nx_db *db = move->tx->db;
    enum nx_code rc = place_find(db, from_parent, from, &move->from, err);

    if (rc == NX_ENAME && move->from.is_document)
        return place_absent(&move->from, err);
    if (rc == NX_OK && !move->from.is_document && !move->from.exists)
        return place_absent(&move->from, err);
    return rc == NX_OK ? place_find(db, to_parent, to, &move->to, err) : rc;
}

enum nx_code nx_db_rename(struct nx_db *db, nx_ino from_parent, const char *from, size_t from_len,
                          nx_ino to_parent, const char *to, size_t to_len, unsigned flags,
                          const struct nx_change *change, struct nx_err *err)
{
    struct move move = {.from = PLACE_INIT, .to = PLACE_INIT, .flags = flags};
    enum nx_code rc;

    if (flags & ~(unsigned)(NX_RENAME_NOREPLACE | NX_RENAME_EXCHANGE | NX_RENAME_IF_OLDER) ||
        (flags & NX_RENAME_EXCHANGE && flags != NX_RENAME_EXCHANGE))
        return nx_fail(err, NX_EINVAL, "rename flags %#x", flags);
    rc = tx_begin(db, change, true, &move.tx, err);
    if (rc != NX_OK)
        return rc;
    rc = find_both(&move, from_parent, nx_slice(from, from_len), to_parent, nx_slice(to, to_len),
                   err);
    if (rc == NX_OK) {
        tx_lock(move.tx, stripes_of(&move));
        rc = rename_locked(&move, err);
    }
    rc = tx_finish(move.tx, rc, err);
    place_fini(&move.from);
    place_fini(&move.to);
    return rc;
}
