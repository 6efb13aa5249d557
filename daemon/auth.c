/*
 * auth.c - the keyring: checking, adding, revoking and storing keys.
 *
 * A key is 256 random bits, so that one salted SHA-256 is as good as a slow hash; a key of the
 * user's own must have KEY_VALUE_MIN characters. keys.json is replaced as a whole by a rename.
 */
#include "daemon/auth.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <nexadb/io.h>
#include <nexadb/json.h>
#include <nexadb/value.h>

#include "daemon/whole_file.h"

enum { SALT_BYTES = 16, HASH_BYTES = 32 };

struct key {
    struct identity who;
    uint8_t salt[SALT_BYTES];
    uint8_t hash[HASH_BYTES];
    int64_t created_ms, expires_ms;
};

struct keyring {
    pthread_mutex_t mu;
    char *path;       /* owned: of keys.json */
    struct key first; /* api.key */
    struct key *keys; /* owned; guarded by mu */
    size_t count;     /* guarded by mu */
};

static const char *const role_names[] = {"none", "read", "write", "admin"};

bool role_from_name(const char *name, enum role *out)
{
    for (enum role role = ROLE_READ; role <= ROLE_ADMIN; role++) {
        *out = role;
        if (!strcmp(name, role_names[role]))
            return true;
    }
    return false;
}

const char *role_name(enum role role)
{
    return role_names[role];
}

bool identity_covers(const struct identity *identity, const char *path, size_t len)
{
    size_t prefix = strlen(identity->prefix);

    return len >= prefix && !memcmp(path, identity->prefix, prefix);
}

/* --- hashing and comparing -------------------------------------------------------------------- */

static void hash_key(const uint8_t salt[SALT_BYTES], const char *key, uint8_t out[HASH_BYTES])
{
    uint8_t text[SALT_BYTES + KEY_VALUE_MAX];
    size_t len = strnlen(key, KEY_VALUE_MAX);

    memcpy(text, salt, SALT_BYTES);
    memcpy(text + SALT_BYTES, key, len);
    gnutls_hash_fast(GNUTLS_DIG_SHA256, text, SALT_BYTES + len, out);
    explicit_bzero(text, sizeof text);
}

static bool key_fits(const struct key *key, const char *presented, int64_t now_ms)
{
    uint8_t hash[HASH_BYTES];

    hash_key(key->salt, presented, hash);
    return !gnutls_memcmp(hash, key->hash, sizeof hash) &
           (key->expires_ms == 0 || now_ms < key->expires_ms);
}

bool keyring_check(struct keyring *keyring, const char *key, int64_t now_ms, struct identity *out)
{
    bool found = false;

    if (strlen(key) > KEY_VALUE_MAX)
        return false;
    if (key_fits(&keyring->first, key, now_ms)) {
        *out = keyring->first.who;
        found = true;
    }
    pthread_mutex_lock(&keyring->mu);
    for (size_t i = 0; i < keyring->count; i++) {
        if (key_fits(&keyring->keys[i], key, now_ms)) {
            *out = keyring->keys[i].who;
            found = true;
        }
    }
    pthread_mutex_unlock(&keyring->mu);
    return found;
}

static void make_key(struct key *key, const char *value)
{
    struct nx_io *io = nx_io_posix();

    io->ops->random(io, key->salt, sizeof key->salt);
    hash_key(key->salt, value, key->hash);
    key->created_ms = (int64_t)(io->ops->realtime_ns(io) / 1000000);
}

static void random_value(char out[static 2 * HASH_BYTES + 4])
{
    struct nx_io *io = nx_io_posix();
    uint8_t bytes[HASH_BYTES];

    io->ops->random(io, bytes, sizeof bytes);
    memcpy(out, "nx_", 3);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 3 + 2 * i, 3, "%02x", bytes[i]);
}

/* --- keys.json -------------------------------------------------------------------------------- */

static void put_binary(struct nx_builder *b, const char *name, const uint8_t *data, size_t len)
{
    nx_builder_put_z(b, name,
                     (struct nx_value){.type = NX_TYPE_BINARY, .len = (uint32_t)len, .data = data});
}

static void put_key(struct nx_builder *b, const struct key *key, bool secrets)
{
    nx_builder_begin_document(b, NULL, 0);
    nx_builder_put_z(b, "name", nx_string_z(key->who.name));
    nx_builder_put_z(b, "role", nx_string_z(role_name(key->who.role)));
    if (key->who.prefix[0])
        nx_builder_put_z(b, "prefix", nx_string_z(key->who.prefix));
    if (key->expires_ms)
        nx_builder_put_z(b, "expires", nx_date(key->expires_ms));
    nx_builder_put_z(b, "created", nx_date(key->created_ms));
    if (secrets) {
        put_binary(b, "salt", key->salt, sizeof key->salt);
        put_binary(b, "sha256", key->hash, sizeof key->hash);
    }
    nx_builder_close(b);
}

static enum nx_code save(struct keyring *keyring, struct nx_err *err)
{
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_builder b;
    enum nx_code rc;

    nx_builder_init(&b, &doc);
    nx_builder_begin_array(&b, "keys", 4);
    for (size_t i = 0; i < keyring->count; i++)
        put_key(&b, &keyring->keys[i], true);
    nx_builder_close(&b);
    rc = nx_builder_end(&b, err);
    if (rc == NX_OK)
        rc = nx_json_write(nx_buf_slice(&doc), false, NX_JSON_EXACT, 2, NULL, &text);
    if (rc == NX_OK)
        rc = nx_buf_append_byte(&text, '\n');
    if (rc != NX_OK)
        return rc;
    return whole_file_replace(keyring->path, nx_buf_slice(&text), err);
}

static bool copy_text(struct nx_slice doc, const char *name, char *out, size_t size)
{
    struct nx_value v = nx_doc_get_z(doc, name);

    *out = '\0';
    if (v.type == NX_TYPE_MISSING)
        return true;
    if (v.type != NX_TYPE_STRING || v.len >= size || memchr(v.data, 0, v.len))
        return false;
    memcpy(out, v.data, v.len);
    out[v.len] = '\0';
    return true;
}

static bool copy_binary(struct nx_slice doc, const char *name, uint8_t *out, size_t len)
{
    struct nx_value v = nx_doc_get_z(doc, name);

    if (v.type != NX_TYPE_BINARY || v.len != len)
        return false;
    memcpy(out, v.data, len);
    return true;
}

static int64_t get_date(struct nx_slice doc, const char *name)
{
    struct nx_value v = nx_doc_get_z(doc, name);

    return v.type == NX_TYPE_DATE ? v.i64 : 0;
}

static bool read_key(struct nx_slice doc, struct key *out)
{
    char role[16];

    memset(out, 0, sizeof *out);
    out->expires_ms = get_date(doc, "expires");
    out->created_ms = get_date(doc, "created");
    return copy_text(doc, "name", out->who.name, sizeof out->who.name) &&
           copy_text(doc, "prefix", out->who.prefix, sizeof out->who.prefix) &&
           copy_text(doc, "role", role, sizeof role) && role_from_name(role, &out->who.role) &&
           copy_binary(doc, "salt", out->salt, sizeof out->salt) &&
           copy_binary(doc, "sha256", out->hash, sizeof out->hash);
}

static enum nx_code append_key(struct keyring *keyring, const struct key *key, struct nx_err *err)
{
    struct key *keys = reallocarray(keyring->keys, keyring->count + 1, sizeof *keys);

    if (!keys)
        return nx_fail_nomem(err);
    keyring->keys = keys;
    keys[keyring->count++] = *key;
    return NX_OK;
}

static enum nx_code read_keys(struct keyring *keyring, struct nx_value list, struct nx_err *err)
{
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;
    struct key key;

    if (list.type != NX_TYPE_ARRAY)
        return nx_fail(err, NX_ECORRUPT, "'%s' has no list \"keys\"", keyring->path);
    nx_doc_iter_init(&iter, nx_value_slice(&list));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        if (iter.value.type != NX_TYPE_DOCUMENT || !read_key(nx_value_slice(&iter.value), &key))
            return nx_fail(err, NX_ECORRUPT, "'%s': keys[%s] is not a key as nexadb writes it",
                           keyring->path, iter.key);
        rc = append_key(keyring, &key, err);
    }
    return rc;
}

static enum nx_code load(struct keyring *keyring, struct nx_err *err)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err why = NX_ERR_INIT;
    bool is_array;
    enum nx_code rc = whole_file_read(keyring->path, &text, err);

    if (rc == NX_ENOTFOUND)
        return NX_OK;
    if (rc != NX_OK)
        return rc;
    rc = nx_json_parse((char *)text.data, text.len, NX_JSON_DOCUMENT, 0, &doc, &is_array, &why);
    if (rc != NX_OK || is_array)
        return nx_fail(err, NX_ECORRUPT, "'%s', line %u: %s", keyring->path, why.line,
                       is_array ? "an array" : why.message);
    return read_keys(keyring, nx_doc_get_z(nx_buf_slice(&doc), "keys"), err);
}

/* --- api.key ---------------------------------------------------------------------------------- */

static enum nx_code load_first(struct keyring *keyring, const char *datadir, struct nx_err *err)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    char value[2 * HASH_BYTES + 4];
    enum nx_code rc;
    char *path;

    if (asprintf(&path, "%s/api.key", datadir) < 0)
        return nx_fail_nomem(err);
    rc = whole_file_read(path, &text, err);
    if (rc == NX_ENOTFOUND) {
        random_value(value);
        rc = nx_buf_printf(&text, "%s\n", value);
        if (rc == NX_OK)
            rc = whole_file_replace(path, nx_buf_slice(&text), err);
    }
    while (text.len && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
        text.len--;
    if (rc == NX_OK)
        rc = nx_buf_append_byte(&text, 0);
    if (rc == NX_OK && (text.len <= KEY_VALUE_MIN || text.len > KEY_VALUE_MAX))
        rc = nx_fail(err, NX_ECORRUPT, "'%s' must hold one key of %d to %d characters", path,
                     KEY_VALUE_MIN, KEY_VALUE_MAX);
    if (rc == NX_OK)
        make_key(&keyring->first, (char *)text.data);
    free(path);
    return rc;
}

enum nx_code keyring_open(const char *datadir, struct keyring **out, struct nx_err *err)
{
    struct keyring *keyring;
    enum nx_code rc = NX_ENOMEM;

    *out = NULL;
    keyring = calloc(1, sizeof *keyring);
    if (!keyring)
        return nx_fail_nomem(err);
    pthread_mutex_init(&keyring->mu, NULL);
    memcpy(keyring->first.who.name, "api.key", sizeof "api.key");
    keyring->first.who.role = ROLE_ADMIN;
    if (asprintf(&keyring->path, "%s/keys.json", datadir) < 0) {
        keyring->path = NULL;
        rc = nx_fail_nomem(err);
        goto fail;
    }
    rc = load_first(keyring, datadir, err);
    if (rc == NX_OK)
        rc = load(keyring, err);
    if (rc != NX_OK)
        goto fail;
    *out = keyring;
    return NX_OK;

fail:
    keyring_close(keyring);
    return rc;
}

void keyring_close(struct keyring *keyring)
{
    if (!keyring)
        return;
    pthread_mutex_destroy(&keyring->mu);
    free(keyring->keys);
    free(keyring->path);
    free(keyring);
}

/* --- changing --------------------------------------------------------------------------------- */

static enum nx_code check_spec(const struct key_spec *spec, struct nx_err *err)
{
    size_t name = strlen(spec->name), prefix = spec->prefix ? strlen(spec->prefix) : 0;
    size_t value = spec->value ? strlen(spec->value) : KEY_VALUE_MIN;

    if (!name || name > KEY_NAME_MAX || !strcmp(spec->name, "api.key"))
        return nx_fail(err, NX_EINVAL, "a key's name has 1 to %d bytes and is not api.key",
                       KEY_NAME_MAX);
    if (prefix > KEY_PREFIX_MAX)
        return nx_fail(err, NX_EINVAL, "a key's prefix has at most %d bytes", KEY_PREFIX_MAX);
    if (value < KEY_VALUE_MIN || value > KEY_VALUE_MAX)
        return nx_fail(err, NX_EINVAL, "a key has %d to %d characters, this one %zu", KEY_VALUE_MIN,
                       KEY_VALUE_MAX, value);
    for (const char *c = spec->value; c && *c; c++)
        if (*c <= ' ' || *c == 0x7f)
            return nx_fail(err, NX_EINVAL, "a key has no spaces or control characters");
    return NX_OK;
}

static size_t find_name(const struct keyring *keyring, const char *name)
{
    size_t i = 0;

    while (i < keyring->count && strcmp(keyring->keys[i].who.name, name) != 0)
        i++;
    return i;
}

enum nx_code keyring_add(struct keyring *keyring, const struct key_spec *spec, struct nx_buf *value,
                         struct nx_err *err)
{
    struct key key = {.expires_ms = spec->expires_ms};
    char random[2 * HASH_BYTES + 4];
    enum nx_code rc = check_spec(spec, err);

    if (rc != NX_OK)
        return rc;
    random_value(random);
    rc = nx_buf_append_str(value, spec->value ? spec->value : random);
    if (rc != NX_OK)
        return nx_fail_nomem(err);
    snprintf(key.who.name, sizeof key.who.name, "%s", spec->name);
    snprintf(key.who.prefix, sizeof key.who.prefix, "%s", spec->prefix ? spec->prefix : "");
    key.who.role = spec->role;
    make_key(&key, spec->value ? spec->value : random);
    pthread_mutex_lock(&keyring->mu);
    if (find_name(keyring, spec->name) < keyring->count)
        rc = nx_fail(err, NX_EEXISTS, "there is a key named '%s' already; revoke it first",
                     spec->name);
    else
        rc = append_key(keyring, &key, err);
    if (rc == NX_OK && (rc = save(keyring, err)) != NX_OK)
        keyring->count--;
    pthread_mutex_unlock(&keyring->mu);
    return rc;
}

enum nx_code keyring_revoke(struct keyring *keyring, const char *name, struct nx_err *err)
{
    enum nx_code rc = NX_OK;
    struct key gone;
    size_t at;

    pthread_mutex_lock(&keyring->mu);
    at = find_name(keyring, name);
    if (at == keyring->count) {
        rc = nx_fail(err, NX_ENOTFOUND, "there is no key named '%s'", name);
    } else {
        gone = keyring->keys[at];
        keyring->keys[at] = keyring->keys[--keyring->count];
        rc = save(keyring, err);
        if (rc != NX_OK) {
            keyring->keys[keyring->count++] = keyring->keys[at];
            keyring->keys[at] = gone;
        }
    }
    pthread_mutex_unlock(&keyring->mu);
    return rc;
}

enum nx_code keyring_list(struct keyring *keyring, struct nx_buf *out, struct nx_err *err)
{
    struct nx_builder b;

    nx_builder_init_array(&b, out);
    pthread_mutex_lock(&keyring->mu);
    put_key(&b, &keyring->first, false);
    for (size_t i = 0; i < keyring->count; i++)
        put_key(&b, &keyring->keys[i], false);
    pthread_mutex_unlock(&keyring->mu);
    return nx_builder_end(&b, err);
}

/* --- expiry ----------------------------------------------------------------------------------- */

static bool parse_span(const char *text, int64_t *ms)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    char *end;
    long n = strtol(text, &end, 10);

    for (size_t i = 0; i < 3; i++)
        if (end != text && n > 0 && n < 1000000 && *end == units[i].unit && !end[1]) {
            *ms = n * units[i].ms;
            return true;
        }
    return false;
}

enum nx_code expiry_parse(const char *text, int64_t now_ms, int64_t *out, struct nx_err *err)
{
    struct tm tm = {0};
    const char *end;
    int64_t span;

    if (parse_span(text, &span)) {
        *out = now_ms + span;
        return NX_OK;
    }
    end = strptime(text, "%Y-%m-%d", &tm);
    if (end && *end)
        end = strptime(end, "T%H:%M:%SZ", &tm);
    if (!end || *end)
        return nx_fail(
            err, NX_EINVAL,
            "'%s' is not a time: write 2030-01-31, 2030-01-31T12:00:00Z, 90d, 12h or 30m", text);
    *out = (int64_t)timegm(&tm) * 1000;
    return NX_OK;
}
