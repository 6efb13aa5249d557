/*
 * layout.c - the common layouts of JSON text as a table, recognised by writing the document again.
 *
 * The first bytes of a text can only belong to one layout. That one is rendered and compared, byte
 * for byte: whatever the writer would not spell the same way (1.50, 1e3, \u00e9, \/, a blank too
 * many) makes the text its own source. There is no second notion of what a layout looks like.
 */
#include "doc/layout.h"

#include "doc/json_style.h"

struct row {
    const char *name;
    struct json_style style;
    bool newline; /* at the end */
};

/* Codes are positions: FORMAT.md, "Layout codes". Only ever add rows at the end. */
static const struct row rows[] = {
    {"source", {0}, false},
    {"default", {"  ", 2, true}, true},
    {"compact", {NULL, 0, false}, false},
    {"compact, newline", {NULL, 0, false}, true},
    {"spaced", {NULL, 0, true}, false},
    {"spaced, newline", {NULL, 0, true}, true},
    {"indent 2", {"  ", 2, true}, false},
    {"indent 2, newline", {"  ", 2, true}, true},
    {"indent 4", {"    ", 4, true}, false},
    {"indent 4, newline", {"    ", 4, true}, true},
    {"indent tab", {"\t", 1, true}, false},
    {"indent tab, newline", {"\t", 1, true}, true},
    {"indent 1", {" ", 1, true}, false},
    {"indent 1, newline", {" ", 1, true}, true},
};
#define ROW_COUNT (sizeof rows / sizeof *rows)

/* The offset behind the quote that closes the string whose content begins at `at`. */
static size_t string_end(const char *text, size_t len, size_t at)
{
    while (at < len && text[at] != '"')
        at += text[at] == '\\' ? 2 : 1;
    return at + 1;
}

static bool guess_style(const char *text, size_t len, struct json_style *out)
{
    size_t at = 1;

    *out = (struct json_style){0};
    if (len < 2 || text[0] != '{')
        return false;
    if (text[1] == '}')
        return true;
    if (text[1] == '"') {
        at = string_end(text, len, 2);
        out->spaced = at + 1 < len && text[at] == ':' && text[at + 1] == ' ';
        return true;
    }
    if (text[1] != '\n')
        return false;
    for (at = 2; at < len && text[at] == text[2] && (text[2] == ' ' || text[2] == '\t');)
        at++;
    out->indent = text + 2;
    out->indent_len = at - 2 < UINT8_MAX ? (uint8_t)(at - 2) : UINT8_MAX;
    out->spaced = true;
    return out->indent_len > 0;
}

static bool same_style(const struct json_style *a, const struct json_style *b)
{
    if (a->indent_len != b->indent_len || a->spaced != b->spaced)
        return false;
    return a->indent_len == 0 || memcmp(a->indent, b->indent, a->indent_len) == 0;
}

/* Returns LAYOUT_SOURCE when no row is like the beginning of the text. */
static uint8_t guess(const char *text, size_t len)
{
    struct json_style style;
    bool newline = len > 0 && text[len - 1] == '\n';

    if (!guess_style(text, len, &style))
        return LAYOUT_SOURCE;
    for (uint8_t code = LAYOUT_DEFAULT + 1; code < ROW_COUNT; code++)
        if (rows[code].newline == newline && same_style(&rows[code].style, &style))
            return code;
    return LAYOUT_SOURCE;
}

uint8_t layout_detect(struct nx_slice doc, const char *text, size_t len)
{
    struct nx_buf again NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    uint8_t code = guess(text, len);

    if (code == LAYOUT_SOURCE || nx_buf_reserve(&again, len + 64) != NX_OK ||
        layout_render(code, doc, &again) != NX_OK)
        return LAYOUT_SOURCE;
    return again.len == len && memcmp(again.data, text, len) == 0 ? code : LAYOUT_SOURCE;
}

static const struct row *row_of(uint8_t layout)
{
    uint8_t code = layout & (uint8_t)~LAYOUT_NO_ID;

    return code < ROW_COUNT ? &rows[code] : NULL;
}

enum nx_code layout_render(uint8_t layout, struct nx_slice doc, struct nx_buf *out)
{
    const struct row *row = row_of(layout);
    bool no_id = layout == LAYOUT_DEFAULT || (layout & LAYOUT_NO_ID);
    size_t before = out->len;
    enum nx_code rc;

    if (!row || row == &rows[LAYOUT_SOURCE])
        return NX_ECORRUPT;
    rc = json_render(doc, false, NX_JSON_EXACT, &row->style, no_id ? "_id" : NULL, out);
    if (rc == NX_OK && row->newline)
        rc = nx_buf_append_byte(out, '\n');
    if (rc != NX_OK)
        out->len = before;
    return rc;
}

const char *layout_name(uint8_t layout)
{
    const struct row *row = row_of(layout);

    return row ? row->name : NULL;
}
