/*
 * request_path_fuzz.c - any method and request target: taken apart and routed, or refused with a
 * reason.
 *
 * The first byte chooses the method, the rest is the target up to its first NUL.
 */
#include <string.h>

#include "daemon/routes.h"
#include "fuzz.h"

static void check_text(const struct url_text *text)
{
    CLAIM(strlen(text->text) == text->len);
}

static void check_match(enum method method, const struct url *url)
{
    struct route_match match;
    char allow[96];

    router_match(&route_table, method, url, &match);
    router_allow(match.allowed, allow, sizeof allow);
    CLAIM(!match.route || match.allowed != 0);
    CLAIM((match.allowed != 0) == (allow[0] != '\0'));
    if (match.route && strchr(match.route->pattern, '{'))
        check_text(&match.param[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_err err = NX_ERR_INIT;
    struct url url;
    char *target;

    if (!size)
        return 0;
    target = strndup((const char *)data + 1, size - 1);
    CLAIM(target != NULL);
    if (url_parse(target, &url, &err) == NX_OK) {
        for (size_t i = 0; i < url.segments; i++)
            check_text(&url.segment[i]);
        for (size_t i = 0; i < url.params; i++)
            check_text(&url.param[i].value);
        check_match((enum method)(data[0] % (METHOD_COUNT + 1)), &url);
        url_fini(&url);
    } else {
        CLAIM(err.message[0] != '\0');
    }
    free(target);
    return 0;
}
