/*
 * auth.h - API keys: who may do what on which collections.
 *
 * DATADIR/api.key holds the first key (role admin), made at random on the first start. Others are
 * in DATADIR/keys.json as SHA-256 of a random salt and the key. Both files are 0600, and never
 * logged.
 *
 * Threads: any.
 */
#ifndef DAEMON_AUTH_H
#define DAEMON_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nexadb/buf.h>
#include <nexadb/error.h>

enum role { ROLE_NONE, ROLE_READ, ROLE_WRITE, ROLE_ADMIN };
enum { KEY_NAME_MAX = 64, KEY_PREFIX_MAX = 255, KEY_VALUE_MIN = 16, KEY_VALUE_MAX = 256 };

/* What a presented key stands for. */
struct identity {
    char name[KEY_NAME_MAX + 1];
    enum role role;
    char prefix[KEY_PREFIX_MAX + 1]; /* "": every collection */
};

struct key_spec {
    const char *name;
    enum role role;
    const char *prefix; /* NULL: none */
    const char *value;  /* NULL: a random one */
    int64_t expires_ms; /* since 1970; 0: never */
};

struct keyring;

/* "read", "write", "admin"; false for anything else. */
bool role_from_name(const char *name, enum role *out);
const char *role_name(enum role role);

/* Load, making api.key when absent. NX_ECORRUPT names keys.json when it is not what we wrote. */
enum nx_code keyring_open(const char *datadir, struct keyring **out, struct nx_err *err);
void keyring_close(struct keyring *keyring);
/* Every key is compared, each in constant time. */
bool keyring_check(struct keyring *keyring, const char *key, int64_t now_ms, struct identity *out);
/* `value` gets the key, which is kept nowhere. NX_EEXISTS for a name in use, NX_EINVAL. */
enum nx_code keyring_add(struct keyring *keyring, const struct key_spec *spec, struct nx_buf *value,
                         struct nx_err *err);
enum nx_code keyring_revoke(struct keyring *keyring, const char *name, struct nx_err *err);
/* Append a BSON array of {"name","role","prefix"?,"expires"?,"created"}. */
enum nx_code keyring_list(struct keyring *keyring, struct nx_buf *out, struct nx_err *err);

/* True when a key of this identity may touch the collection at `path`. */
bool identity_covers(const struct identity *identity, const char *path, size_t len);
/* "2030-01-31", "2030-01-31T12:00:00Z", "90d", "12h", "30m": milliseconds since 1970. NX_EINVAL. */
enum nx_code expiry_parse(const char *text, int64_t now_ms, int64_t *out, struct nx_err *err);

#endif
