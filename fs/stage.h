/*
 * stage.h - what a writing handle holds until its text is complete: bytes, and what JSON says of
 * them.
 *
 * Threads: one at a time. No I/O: the caller loads committed bytes and commits.
 */
#ifndef FS_STAGE_H
#define FS_STAGE_H

#include <nexadb/json.h>

struct stage {
    struct nx_buf text;
    bool loaded;      /* false: the committed bytes are still to be read */
    bool in_order;    /* only grew at its end: `scanner` has seen it all */
    bool dirty;       /* changed since it was last committed */
    bool too_big;     /* past NX_DOC_MAX_BYTES: refused until it is truncated */
    bool in_object;   /* the scanner has passed the first brace */
    uint64_t changes; /* counts them */
    struct nx_json_scanner scanner;
};

enum stage_state {
    STAGE_EMPTY,      /* no byte */
    STAGE_INCOMPLETE, /* the beginning of a document, or white space */
    STAGE_COMPLETE,   /* one JSON object */
    STAGE_IMPOSSIBLE, /* nothing that follows makes it a document */
};

void stage_init(struct stage *stage); /* not loaded */
void stage_fini(struct stage *stage);
/* Start from no bytes: a truncation, a new file. */
void stage_clear(struct stage *stage);
/* Start from committed bytes. `append_only`: every write will go behind them, as with O_APPEND, so
 * they count as filled in order. */
enum nx_code stage_load(struct stage *stage, struct nx_slice text, bool append_only,
                        struct nx_err *err);
/*
 * Only when loaded. The bytes are taken even when it fails, so that nothing typed is lost: NX_EJSON
 * (with line and column) when the text, filled in order, has become impossible; NX_ETOOBIG past the
 * limit.
 */
enum nx_code stage_write(struct stage *stage, const char *data, size_t len, uint64_t offset,
                         struct nx_err *err);
enum nx_code stage_resize(struct stage *stage, uint64_t size, struct nx_err *err);
/* `err` gets the reason of STAGE_IMPOSSIBLE, and where an incomplete text stops. */
enum stage_state stage_judge(struct stage *stage, struct nx_err *err);

#endif
