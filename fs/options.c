/*
 * options.c - the items of `-o`, one row each.
 *
 * `ro` and `sync` are consumed here and never reach the kernel: it would refuse `echo q > .query`
 * on a read-only mount, and would turn `sync` into requests that group commit makes needless.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "fs/fs.h"

static const char *const magic_names[] = {
    [FS_MAGIC_HIDDEN] = "hidden",
    [FS_MAGIC_VISIBLE] = "visible",
    [FS_MAGIC_OFF] = "off",
};

enum option_type { OPTION_BOOL, OPTION_MAGIC, OPTION_CONFLICT, OPTION_RATE };

#define INOTIFY_RATE 1000u
#define INOTIFY_RATE_MAX 1000000u

struct option {
    const char *name;
    enum option_type type;
    size_t offset; /* in struct fs_options */
    bool value;    /* what a bare name of type BOOL sets */
};

#define AT(field) offsetof(struct fs_options, field)

static const struct option options[] = {
    {"allow_other", OPTION_BOOL, AT(allow_other), true},
    {"async", OPTION_BOOL, AT(sync), false},
    {"conflict", OPTION_CONFLICT, AT(conflict_fail), true},
    {"debug", OPTION_BOOL, AT(debug), true},
    {"default_permissions", OPTION_BOOL, AT(default_permissions), true},
    {"dev", OPTION_BOOL, AT(dev), true},
    {"inotify", OPTION_RATE, AT(inotify), true},
    {"magic", OPTION_MAGIC, AT(magic), true},
    {"nodev", OPTION_BOOL, AT(dev), false},
    {"noinotify", OPTION_RATE, AT(inotify), false},
    {"nosuid", OPTION_BOOL, AT(suid), false},
    {"noxattr", OPTION_BOOL, AT(xattr), false},
    {"ro", OPTION_BOOL, AT(read_only), true},
    {"rw", OPTION_BOOL, AT(read_only), false},
    {"suid", OPTION_BOOL, AT(suid), true},
    {"sync", OPTION_BOOL, AT(sync), true},
    {"xattr", OPTION_BOOL, AT(xattr), true},
};

void fs_options_init(struct fs_options *out)
{
    *out = (struct fs_options){.magic = FS_MAGIC_HIDDEN, .inotify = INOTIFY_RATE};
}

static enum nx_code parse_magic(const char *value, enum fs_magic *out, struct nx_err *err)
{
    for (size_t i = 0; i < sizeof magic_names / sizeof magic_names[0]; i++) {
        if (value && strcmp(value, magic_names[i]) == 0) {
            *out = (enum fs_magic)i;
            return NX_OK;
        }
    }
    return nx_fail(err, NX_EINVAL, "mount option 'magic=%s': hidden, visible or off",
                   value ? value : "");
}

static enum nx_code parse_conflict(const char *value, bool *out, struct nx_err *err)
{
    if (value && strcmp(value, "fail") == 0)
        *out = true;
    else if (value && strcmp(value, "last") == 0)
        *out = false;
    else
        return nx_fail(err, NX_EINVAL, "mount option 'conflict=%s': fail or last",
                       value ? value : "");
    return NX_OK;
}

/* Nothing, `on`, `off`, or how many changes a second. */
static enum nx_code parse_rate(const struct option *option, const char *value, uint32_t *out,
                               struct nx_err *err)
{
    unsigned rate = 0;
    int end = 0;

    if (!value || (option->value && strcmp(value, "on") == 0)) {
        *out = option->value ? INOTIFY_RATE : 0;
        return NX_OK;
    }
    if (option->value && strcmp(value, "off") == 0) {
        *out = 0;
        return NX_OK;
    }
    if (!option->value || value[0] < '1' || value[0] > '9' || strlen(value) > 7 ||
        sscanf(value, "%u%n", &rate, &end) != 1 || value[end] || rate > INOTIFY_RATE_MAX)
        return nx_fail(err, NX_EINVAL,
                       "mount option '%s=%s': inotify takes on, off, or changes a second from 1 to "
                       "%u",
                       option->name, value, INOTIFY_RATE_MAX);
    *out = rate;
    return NX_OK;
}

enum nx_code fs_options_parse(struct fs_options *out, const char *item, struct nx_err *err)
{
    const char *equals = strchr(item, '=');
    size_t len = equals ? (size_t)(equals - item) : strlen(item);
    const char *value = equals ? equals + 1 : NULL;

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        const struct option *option = &options[i];
        void *field = (char *)out + option->offset;

        if (strlen(option->name) != len || memcmp(option->name, item, len) != 0)
            continue;
        if (option->type == OPTION_MAGIC)
            return parse_magic(value, field, err);
        if (option->type == OPTION_CONFLICT)
            return parse_conflict(value, field, err);
        if (option->type == OPTION_RATE)
            return parse_rate(option, value, field, err);
        if (value)
            return nx_fail(err, NX_EINVAL, "mount option '%s' takes no value", option->name);
        *(bool *)field = option->value;
        return NX_OK;
    }
    return nx_fail(err, NX_EINVAL, "unknown mount option '%s'", item);
}
