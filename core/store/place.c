/* place.c - finding, filling and emptying one name, with the counters of its directory. */
#include "store/place.h"

void place_fini(struct place *place)
{
    nx_buf_fini(&place->buf);
}

enum nx_code place_find(struct nx_db *db, nx_ino dir, struct nx_slice name, struct place *out,
                        struct nx_err *err)
{
    struct node node;
    enum nx_code rc = name_check(name, err);

    out->dir = dir;
    out->name = name;
    out->exists = false;
    if (rc == NX_OK)
        rc = store_directory(db, NULL, dir, &out->buf, &node, err);
    if (rc != NX_OK)
        return rc;
    out->dir_kind = node.kind;
    out->dir_mode = node.mode;
    out->dir_gid = node.gid;
    out->is_document = is_document_slot(node.kind, name);
    if (out->is_document)
        return name_to_id(name, &out->id, err);
    rc = store_entry(db, NULL, dir, name, &out->entry, NULL);
    out->exists = rc == NX_OK;
    if (rc == NX_OK || rc == NX_ENOTFOUND)
        return NX_OK;
    return store_entry(db, NULL, dir, name, &out->entry, err);
}

uint64_t place_stripes(const struct place *place)
{
    return stripe_of(place->dir) | (place->exists ? stripe_of(place->entry.ino) : 0);
}

enum nx_code place_absent(const struct place *place, struct nx_err *err)
{
    return nx_fail(err, NX_ENOTFOUND, "there is no '%.*s'", NAME_ARG(place->name));
}

enum nx_code place_load(struct tx *tx, struct place *place, struct nx_err *err)
{
    struct tx_dir *dir;
    enum nx_code rc = tx_dir(tx, place->dir, &dir, err);

    if (rc == NX_OK && dir->kind != place->dir_kind)
        return place_absent(place, err); /* it became another kind of directory meanwhile */
    if (rc != NX_OK)
        return rc;
    if (!place->is_document)
        return place->exists
                   ? store_node(tx->db, NULL, place->entry.ino, &place->buf, &place->node, err)
                   : NX_OK;
    rc = store_document(tx->db, NULL, place->dir, id_slice(&place->id), &place->buf, &place->header,
                        &place->body_at, err);
    place->exists = rc == NX_OK;
    return rc == NX_ENOTFOUND ? NX_OK : rc;
}

/* --- plain names ------------------------------------------------------------------------------ */

static bool is_directory_kind(enum nx_kind kind)
{
    return kind == NX_KIND_COLLECTION || kind == NX_KIND_DIRECTORY;
}

enum nx_code place_put_plain(struct tx *tx, const struct place *place, nx_ino ino,
                             enum nx_kind kind, struct nx_err *err)
{
    struct entry entry = {.ino = ino, .kind = kind};
    struct tx_dir *dir;
    enum nx_code rc = tx_dir(tx, place->dir, &dir, err);

    if (rc == NX_OK)
        rc = numbers_take(&tx->db->numbers, 1, &entry.number, err);
    if (rc != NX_OK)
        return rc;
    tx_put_entry(tx, place->dir, place->name, &entry);
    dir->counters.entries++;
    dir->counters.subdirectories += is_directory_kind(kind);
    tx_touch(tx, dir);
    return NX_OK;
}

enum nx_code place_remove_plain(struct tx *tx, const struct place *place, struct nx_err *err)
{
    struct tx_dir *dir;
    enum nx_code rc = tx_dir(tx, place->dir, &dir, err);

    if (rc != NX_OK)
        return rc;
    tx_delete_entry(tx, place->dir, place->name, place->entry.number);
    dir->counters.entries--;
    dir->counters.subdirectories -= is_directory_kind(place->entry.kind);
    tx_touch(tx, dir);
    return NX_OK;
}

/* --- documents -------------------------------------------------------------------------------- */

static void count_document(struct tx_dir *dir, const struct doc_header *header, bool more)
{
    uint64_t *counter =
        header->flags & DOC_DRAFT ? &dir->counters.drafts : &dir->counters.documents;

    if (more)
        ++*counter;
    else
        --*counter;
    dir->changed = true;
}

enum nx_code place_put_document(struct tx *tx, const struct place *place, struct doc_header *header,
                                struct nx_slice bson, struct nx_slice source, struct nx_err *err)
{
    bool had_large = place->exists && place->header.flags & DOC_LARGE;
    struct tx_dir *dir;
    enum nx_code rc = tx_dir(tx, place->dir, &dir, err);

    if (rc != NX_OK)
        return rc;
    if (place->exists) {
        count_document(dir, &place->header, false);
        if (place->header.ino != header->ino)
            tx_delete_node(tx, place->header.ino);
    } else {
        tx_touch(tx, dir);
    }
    count_document(dir, header, true);
    tx_put_document(tx, place->dir, id_slice(&place->id), header, bson, source, had_large);
    tx_put_document_node(tx, header->ino, place->dir, id_slice(&place->id));
    return NX_OK;
}

enum nx_code place_remove_document(struct tx *tx, const struct place *place, bool with_node,
                                   struct nx_err *err)
{
    struct tx_dir *dir;
    enum nx_code rc = tx_dir(tx, place->dir, &dir, err);

    if (rc != NX_OK)
        return rc;
    tx_delete_document(tx, place->dir, id_slice(&place->id), place->header.flags & DOC_LARGE);
    if (with_node)
        tx_delete_node(tx, place->header.ino);
    count_document(dir, &place->header, false);
    tx_touch(tx, dir);
    return NX_OK;
}

/* --- whatever is there ------------------------------------------------------------------------ */

enum nx_code place_check_empty(struct tx *tx, const struct place *place, struct nx_err *err)
{
    struct counters counters;
    enum nx_code rc = store_counters(tx->db, NULL, place->entry.ino, &counters, err);

    if (rc == NX_OK && counters.documents + counters.drafts + counters.entries > 0)
        return nx_fail(err, NX_ENOTEMPTY, "'%.*s' holds %llu documents and %llu other entries",
                       NAME_ARG(place->name), (unsigned long long)counters.documents,
                       (unsigned long long)(counters.drafts + counters.entries));
    return rc;
}

enum nx_code place_remove(struct tx *tx, struct place *place, struct nx_err *err)
{
    enum nx_code rc;

    if (place->is_document) {
        tx_change_document(tx, place_has_document(place), false, place->dir, id_slice(&place->id));
        return place_remove_document(tx, place, true, err);
    }
    rc = place_remove_plain(tx, place, err);
    if (rc != NX_OK)
        return rc;
    if (place_is_directory(place)) {
        tx_change_directory(tx, NX_KIND_FILE, place->entry.ino, &place->node);
        tx_delete_node(tx, place->entry.ino);
        tx_delete(tx, KEY_COUNTERS, place->entry.ino);
    } else {
        file_unlink(tx, place->entry.ino, &place->node);
    }
    return NX_OK;
}
