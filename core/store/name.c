/* name.c - what a name may be, and what it makes of the thing that has it. */
#include "doc/utf8.h"
#include "store/store.h"

enum nx_code name_check(struct nx_slice name, struct nx_err *err)
{
    if (name.len > NX_NAME_MAX)
        return nx_fail(err, NX_ENAMETOOLONG, "a name of %zu bytes; the limit is %d", name.len,
                       NX_NAME_MAX);
    if (name.len == 0)
        return nx_fail(err, NX_ENAME, "an empty name");
    if (name.data[0] == '.' && (name.len == 1 || (name.len == 2 && name.data[1] == '.')))
        return nx_fail(err, NX_ENAME, "'%.*s' is not a name", NAME_ARG(name));
    if (memchr(name.data, '/', name.len) || memchr(name.data, 0, name.len))
        return nx_fail(err, NX_ENAME, "a name holds a slash or a NUL");
    return NX_OK;
}

static bool ends_in_json(struct nx_slice name)
{
    return name.len >= 5 && memcmp(name.data + name.len - 5, ".json", 5) == 0;
}

enum nx_code name_check_collection(struct nx_slice name, struct nx_err *err)
{
    enum nx_code rc = name_check(name, err);

    if (rc != NX_OK)
        return rc == NX_ENAMETOOLONG
                   ? nx_fail(err, NX_ENAME, "a collection name of %zu bytes; the limit is %d",
                             name.len, NX_NAME_MAX)
                   : rc;
    if (name.data[0] == '.')
        return nx_fail(err, NX_ENAME, "collection name '%.*s' begins with a dot", NAME_ARG(name));
    if (ends_in_json(name))
        return nx_fail(err, NX_ENAME, "collection name '%.*s' ends in .json, as documents do",
                       NAME_ARG(name));
    if (utf8_valid_prefix(name.data, name.len) < name.len)
        return nx_fail(err, NX_ENAME, "a collection name is not UTF-8");
    return NX_OK;
}

enum nx_code name_directory_kind(enum nx_kind parent, struct nx_slice name, enum nx_kind *out,
                                 struct nx_err *err)
{
    enum nx_code rc = name_check(name, err);

    *out = NX_KIND_DIRECTORY;
    if (rc != NX_OK || parent == NX_KIND_DIRECTORY || name.data[0] == '.')
        return rc;
    *out = NX_KIND_COLLECTION;
    return name_check_collection(name, err);
}

enum nx_code name_to_id(struct nx_slice name, struct nx_id *out, struct nx_err *err)
{
    struct nx_buf canonical NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = nx_id_from_name((const char *)name.data, name.len, out, &canonical, err);

    if (rc == NX_ENAME && canonical.len > 0)
        nx_fail(err, rc, "'%.*s' is not the canonical name of an id: that is '%.*s'",
                NAME_ARG(name), NAME_ARG(nx_buf_slice(&canonical)));
    return rc;
}
