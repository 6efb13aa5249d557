/*
 * errors.c - rings of error lines, rendered when they are added.
 *
 * A shell shows only "Invalid argument"; what was wrong, and where, is here. The root's ring has
 * the errors of the whole database.
 */
#include "fs/errors.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <nexadb/io.h>
#include <nexadb/json.h>

#define CARET_BEFORE 40 /* bytes of the line shown before the column, and as many after it */

struct ring {
    nx_ino dir; /* 0: unused */
    uint64_t used_at;
    unsigned first, count;
    char *lines[ERRORS_KEPT]; /* owned */
};

struct errors {
    struct nx_io *io;
    pthread_mutex_t mu;
    uint64_t clock;
    struct ring *rings[ERRORS_DIRS]; /* owned; guarded by mu; [0] is the root's */
};

struct errors *errors_new(struct nx_io *io)
{
    struct errors *errors = calloc(1, sizeof *errors);

    if (!errors)
        return NULL;
    errors->io = io;
    pthread_mutex_init(&errors->mu, NULL);
    return errors;
}

static void ring_clear(struct ring *ring)
{
    for (unsigned i = 0; i < ring->count; i++)
        free(ring->lines[(ring->first + i) % ERRORS_KEPT]);
    ring->first = ring->count = 0;
}

void errors_free(struct errors *errors)
{
    if (!errors)
        return;
    for (size_t i = 0; i < ERRORS_DIRS; i++) {
        if (errors->rings[i])
            ring_clear(errors->rings[i]);
        free(errors->rings[i]);
    }
    pthread_mutex_destroy(&errors->mu);
    free(errors);
}

/* The lock is held, here and in what follows. */
static struct ring *find_ring(struct errors *errors, nx_ino dir)
{
    for (size_t i = 0; i < ERRORS_DIRS && errors->rings[i]; i++)
        if (errors->rings[i]->dir == dir)
            return errors->rings[i];
    return NULL;
}

/* A ring of its own, or the one that was used longest ago; never the root's. */
static struct ring *claim_ring(struct errors *errors, nx_ino dir)
{
    struct ring **oldest = NULL;

    for (size_t i = 0; i < ERRORS_DIRS; i++) {
        struct ring **at = &errors->rings[i];

        if (!*at) {
            *at = calloc(1, sizeof **at);
            oldest = at;
            break;
        }
        if ((*at)->dir != NX_ROOT_INO && (!oldest || (*at)->used_at < (*oldest)->used_at))
            oldest = at;
    }
    if (!oldest || !*oldest)
        return NULL;
    ring_clear(*oldest);
    (*oldest)->dir = dir;
    return *oldest;
}

static void ring_add(struct errors *errors, nx_ino dir, const struct nx_buf *line)
{
    struct ring *ring = find_ring(errors, dir);
    char *copy = malloc(line->len + 1);

    if (!ring)
        ring = claim_ring(errors, dir);
    if (!ring || !copy) {
        free(copy);
        return;
    }
    memcpy(copy, line->data, line->len);
    copy[line->len] = 0;
    ring->used_at = ++errors->clock;
    if (ring->count == ERRORS_KEPT) {
        free(ring->lines[ring->first]);
        ring->first = (ring->first + 1) % ERRORS_KEPT;
        ring->count--;
    }
    ring->lines[(ring->first + ring->count++) % ERRORS_KEPT] = copy;
}

static struct nx_slice line_of(struct nx_slice text, uint32_t number)
{
    const uint8_t *at = text.data, *end = text.data + text.len, *newline;

    for (uint32_t line = 1; line < number && at < end; line++) {
        newline = memchr(at, '\n', (size_t)(end - at));
        at = newline ? newline + 1 : end;
    }
    newline = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    return nx_slice(at, (size_t)((newline ? newline : end) - at));
}

/* The part of the line around the column, and a caret under it. */
static void add_caret(struct nx_buf *out, struct nx_slice text, const struct nx_err *err)
{
    struct nx_buf caret NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_slice line;
    size_t column, from, len;

    if (err->line == 0 || text.len == 0)
        return;
    line = line_of(text, err->line);
    column = err->column > 0 ? err->column - 1 : 0;
    column = column < line.len ? column : line.len;
    from = column > CARET_BEFORE ? column - CARET_BEFORE : 0;
    len = line.len - from < 2 * CARET_BEFORE ? line.len - from : 2 * CARET_BEFORE;
    while (from > 0 && (line.data[from] & 0xc0) == 0x80) { /* not inside a character */
        from--;
        len++;
    }
    nx_buf_append(&caret, line.data + from, len);
    nx_buf_printf(&caret, "\n%*s^", (int)(column - from), "");
    nx_buf_append_str(out, ",\"caret\":");
    nx_json_write_string((char *)caret.data, caret.len, out);
}

static void render(struct errors *errors, const char *file, const struct nx_err *err,
                   struct nx_slice text, struct nx_buf *out)
{
    uint64_t ns = errors->io->ops->realtime_ns(errors->io);
    time_t seconds = (time_t)(ns / 1000000000);
    const char *message = err->message[0] ? err->message : nx_code_text(err->code);
    struct tm tm;
    char when[32];

    gmtime_r(&seconds, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    nx_buf_printf(out, "{\"time\":\"%s.%03uZ\",\"file\":", when, (unsigned)(ns / 1000000 % 1000));
    nx_json_write_string(file, strlen(file), out);
    if (err->line > 0)
        nx_buf_printf(out, ",\"line\":%u,\"column\":%u", err->line, err->column);
    nx_buf_append_str(out, ",\"message\":");
    nx_json_write_string(message, strlen(message), out);
    add_caret(out, text, err);
    nx_buf_append_str(out, "}\n");
}

void errors_add(struct errors *errors, nx_ino dir, const char *file, const struct nx_err *err,
                struct nx_slice text)
{
    struct nx_buf line NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    render(errors, file, err, text, &line);
    pthread_mutex_lock(&errors->mu);
    if (!errors->rings[0])
        claim_ring(errors, NX_ROOT_INO);
    ring_add(errors, NX_ROOT_INO, &line);
    if (dir != NX_ROOT_INO)
        ring_add(errors, dir, &line);
    pthread_mutex_unlock(&errors->mu);
}

enum nx_code errors_read(struct errors *errors, nx_ino dir, struct nx_buf *out)
{
    enum nx_code rc = NX_OK;
    struct ring *ring;

    pthread_mutex_lock(&errors->mu);
    ring = find_ring(errors, dir);
    for (unsigned i = 0; ring && i < ring->count && rc == NX_OK; i++)
        rc = nx_buf_append_str(out, ring->lines[(ring->first + i) % ERRORS_KEPT]);
    pthread_mutex_unlock(&errors->mu);
    return rc;
}

void errors_clear(struct errors *errors, nx_ino dir)
{
    struct ring *ring;

    pthread_mutex_lock(&errors->mu);
    ring = find_ring(errors, dir);
    if (ring)
        ring_clear(ring);
    pthread_mutex_unlock(&errors->mu);
}
