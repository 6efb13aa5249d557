/* id_name_fuzz.c - a name that is accepted is the name of its id; one that is given as right, too.
 */
#include <string.h>

#include <nexadb/id.h>

#include "tests/fuzz/fuzz.h"

static void is_the_name_of(const struct nx_id *id, const char *name, size_t len)
{
    struct nx_buf again = NX_BUF_INIT;

    CLAIM(nx_id_to_name(id, &again) == NX_OK);
    CLAIM(again.len == len && memcmp(again.data, name, len) == 0);
    nx_buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_buf canonical = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    struct nx_id id, other;
    const char *name = (const char *)data;
    enum nx_code rc = nx_id_from_name(name, size, &id, &canonical, &err);

    if (rc == NX_OK) {
        is_the_name_of(&id, name, size);
    } else {
        CLAIM((rc == NX_ENAME || rc == NX_ENAMETOOLONG) && err.message[0] && id.len == 0);
        if (canonical.len) {
            CLAIM(nx_id_from_name((char *)canonical.data, canonical.len, &other, NULL, NULL) ==
                  NX_OK);
            is_the_name_of(&other, (char *)canonical.data, canonical.len);
        }
    }
    nx_buf_fini(&canonical);
    return 0;
}
