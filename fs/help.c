/*
 * help.c - one table for people: what to write, what to read, a line to try.
 *
 * The words in the examples are taken from the first documents that the reader may see, when they
 * need no quoting; a collection without such gets people, ages and cities.
 */
#include "fs/help.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <nexadb/json.h>

#define DOCUMENTS_READ 20
#define WORD_MAX 40

struct words {
    char number[WORD_MAX], value[WORD_MAX], text[WORD_MAX], id[WORD_MAX];
};

/* Needs no quotes in a shell, in JSON or in a path, so it can stand in any example. */
static bool is_plain(const char *word, size_t len)
{
    if (len == 0 || len >= WORD_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)word[i]) && word[i] != '_')
            return false;
    return true;
}

static void take(char word[WORD_MAX], const char *from, size_t len)
{
    if (word[0] || !is_plain(from, len))
        return;
    memcpy(word, from, len);
    word[len] = 0;
}

static void take_number(struct words *words, const struct nx_doc_iter *field)
{
    int64_t value;

    if (words->number[0] || !nx_value_to_int64(&field->value, &value) || value < 0)
        return;
    take(words->number, field->key, field->key_len);
    if (words->number[0])
        snprintf(words->value, sizeof words->value, "%jd", (intmax_t)value);
}

static void take_words(struct words *words, struct nx_slice document)
{
    struct nx_doc_iter field;

    nx_doc_iter_init(&field, document);
    while (nx_doc_iter_next(&field)) {
        bool is_text = field.value.type == NX_TYPE_STRING;

        if (strcmp(field.key, "_id") == 0 && is_text)
            take(words->id, (const char *)field.value.data, field.value.len);
        else if (is_text)
            take(words->text, field.key, field.key_len);
        else if (nx_is_number(&field.value))
            take_number(words, &field);
    }
}

static void complete(struct words *words)
{
    take(words->number, "age", 3);
    take(words->value, "25", 2);
    take(words->text, "city", 4);
    take(words->id, "alice", 5);
}

static enum nx_code read_words(struct fs *fs, const struct fs_place *place,
                               const struct nx_limits *limits, struct words *out,
                               struct nx_err *err)
{
    static const struct nx_scan_range all;
    struct nx_document document;
    struct nx_scan *scan;
    enum nx_code rc = nx_scan_open(fs->db, place->snapshot, place->ino, &all, &scan, err);

    *out = (struct words){0};
    if (rc != NX_OK)
        return rc;
    for (int i = 0; i < DOCUMENTS_READ && rc == NX_OK; i++) {
        rc = nx_scan_next(scan, &document, err);
        if (rc == NX_OK && (!limits->visible || limits->visible(limits->arg, &document.attr)))
            take_words(out, document.bson);
    }
    nx_scan_close(scan);
    complete(out);
    return rc == NX_DONE ? NX_OK : rc;
}

/* --- the table -------------------------------------------------------------------------------- */

static const char *word_of(const struct words *words, char which)
{
    switch (which) {
    case 'n':
        return words->number;
    case 'v':
        return words->value;
    case 't':
        return words->text;
    case 'i':
        return words->id;
    default:
        return NULL;
    }
}

static void add_example(const char *example, const struct words *words, struct nx_buf *out)
{
    nx_buf_append_str(out, "    $ ");
    for (const char *at = example; *at; at++) {
        const char *word = *at == '%' ? word_of(words, at[1]) : NULL;

        if (word)
            nx_buf_append_str(out, word);
        else
            nx_buf_append_byte(out, (uint8_t)*at);
        at += word != NULL;
    }
    nx_buf_append_byte(out, '\n');
}

static void add_row(const struct magic *magic, const struct words *words, struct nx_buf *out)
{
    nx_buf_printf(out, "%s%s\n", magic->name, magic->flags & MAGIC_IS_FOLDER ? "/" : "");
    if (magic->write_help)
        nx_buf_printf(out, "    write  %s\n", magic->write_help);
    if (magic->read_help)
        nx_buf_printf(out, "    read   %s\n", magic->read_help);
    if (magic->example)
        add_example(magic->example, words, out);
    else
        nx_buf_printf(out, "    $ cat %s\n", magic->name);
}

static enum nx_code add_head(struct fs *fs, const struct fs_place *place, struct nx_buf *out,
                             struct nx_err *err)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = nx_db_path(fs->db, place->snapshot, place->ino, &path, err);

    if (rc != NX_OK)
        return rc;
    if (place->ino == NX_ROOT_INO)
        return nx_buf_append_str(
            out, "A directory here is a collection: mkdir makes one, rmdir drops an empty one. "
                 "In it, NAME.json is the document whose _id is NAME.\nEach collection has files "
                 "of its own: cat COLLECTION/.help shows them. No listing shows these:\n\n");
    return nx_buf_printf(out,
                         "Collection %.*s: NAME.json is the document whose _id is NAME. Write one "
                         "with any editor, rm deletes it.\nNo listing shows these:\n\n",
                         (int)path.len, (char *)path.data);
}

enum nx_code help_write(struct fs *fs, const struct fs_place *place, const struct nx_limits *limits,
                        struct nx_buf *out, struct nx_err *err)
{
    bool root = place->ino == NX_ROOT_INO;
    struct words words = {0};
    const struct magic *magic;
    enum nx_code rc = add_head(fs, place, out, err);

    if (rc == NX_OK && !root)
        rc = read_words(fs, place, limits, &words, err);
    if (rc != NX_OK)
        return rc;
    for (unsigned i = 0; (magic = magic_row(i)); i++)
        if ((magic->flags & (root ? MAGIC_IN_ROOT : MAGIC_IN_COLLECTION)) &&
            (!place->number || !(magic->flags & MAGIC_IS_LIVE)))
            add_row(magic, &words, out);
    return nx_buf_append_str(out, root ? "\nDocumentation: docs/filesystem.md\n"
                                       : "\nA question belongs to your terminal session: others "
                                         "do not see it. `tail -n 1 .errors` tells why\nsomething "
                                         "was \"Invalid argument\".\n");
}
