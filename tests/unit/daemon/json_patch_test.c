/* json_patch_test.c - RFC 6902: the examples of its appendix A, and what must be refused. */
#include <stdio.h>
#include <string.h>

#include <nexadb/json.h>

#include "daemon/json_patch.h"
#include "tests/support/unit.h"

struct example {
    const char *title, *base, *patch, *made; /* made NULL: refused */
};

static const struct example appendix[] = {
    {"A.1 adding an object member", "{'foo':'bar'}", "[{'op':'add','path':'/baz','value':'qux'}]",
     "{'foo':'bar','baz':'qux'}"},
    {"A.2 adding an array element", "{'foo':['bar','baz']}",
     "[{'op':'add','path':'/foo/1','value':'qux'}]", "{'foo':['bar','qux','baz']}"},
    {"A.3 removing an object member", "{'baz':'qux','foo':'bar'}",
     "[{'op':'remove','path':'/baz'}]", "{'foo':'bar'}"},
    {"A.4 removing an array element", "{'foo':['bar','qux','baz']}",
     "[{'op':'remove','path':'/foo/1'}]", "{'foo':['bar','baz']}"},
    {"A.5 replacing a value", "{'baz':'qux','foo':'bar'}",
     "[{'op':'replace','path':'/baz','value':'boo'}]", "{'baz':'boo','foo':'bar'}"},
    {"A.6 moving a value", "{'foo':{'bar':'baz','waldo':'fred'},'qux':{'corge':'grault'}}",
     "[{'op':'move','from':'/foo/waldo','path':'/qux/thud'}]",
     "{'foo':{'bar':'baz'},'qux':{'corge':'grault','thud':'fred'}}"},
    {"A.7 moving an array element", "{'foo':['all','grass','cows','eat']}",
     "[{'op':'move','from':'/foo/1','path':'/foo/3'}]", "{'foo':['all','cows','eat','grass']}"},
    {"A.8 a test that holds", "{'baz':'qux','foo':['a',2,'c']}",
     "[{'op':'test','path':'/baz','value':'qux'},{'op':'test','path':'/foo/1','value':2}]",
     "{'baz':'qux','foo':['a',2,'c']}"},
    {"A.9 a test that does not", "{'baz':'qux'}", "[{'op':'test','path':'/baz','value':'bar'}]",
     NULL},
    {"A.10 adding a nested object", "{'foo':'bar'}",
     "[{'op':'add','path':'/child','value':{'grandchild':{}}}]",
     "{'foo':'bar','child':{'grandchild':{}}}"},
    {"A.11 unknown members are passed over", "{'foo':'bar'}",
     "[{'op':'add','path':'/baz','value':'qux','xyz':123}]", "{'foo':'bar','baz':'qux'}"},
    {"A.12 adding to a parent that is not there", "{'foo':'bar'}",
     "[{'op':'add','path':'/baz/bat','value':'qux'}]", NULL},
    {"A.14 escapes are decoded once", "{'/':9,'~1':10}", "[{'op':'test','path':'/~01','value':10}]",
     "{'/':9,'~1':10}"},
    {"A.15 a string is not a number", "{'/':9,'~1':10}",
     "[{'op':'test','path':'/~01','value':'10'}]", NULL},
    {"A.16 adding behind the last element", "{'foo':['bar']}",
     "[{'op':'add','path':'/foo/-','value':['abc','def']}]", "{'foo':['bar',['abc','def']]}"},
};

static const struct example others[] = {
    {"an add replaces", "{'a':1}", "[{'op':'add','path':'/a','value':null}]", "{'a':null}"},
    {"copy", "{'a':{'b':1}}", "[{'op':'copy','from':'/a','path':'/c'}]",
     "{'a':{'b':1},'c':{'b':1}}"},
    {"moving to where it is", "{'a':1}", "[{'op':'move','from':'/a','path':'/a'}]", "{'a':1}"},
    {"the whole document", "{'a':1}", "[{'op':'replace','path':'','value':{'b':2}}]", "{'b':2}"},
    {"the order of members is no difference", "{'a':{'x':1,'y':[{'p':1,'q':2}]}}",
     "[{'op':'test','path':'/a','value':{'y':[{'q':2,'p':1}],'x':1}}]",
     "{'a':{'x':1,'y':[{'p':1,'q':2}]}}"},
    {"an empty name", "{'':1}", "[{'op':'replace','path':'/','value':2}]", "{'':2}"},
    {"nothing to remove", "{'a':1}", "[{'op':'remove','path':'/b'}]", NULL},
    {"nothing to replace", "{'a':1}", "[{'op':'replace','path':'/b','value':1}]", NULL},
    {"a leading zero", "{'a':[1,2]}", "[{'op':'remove','path':'/a/01'}]", NULL},
    {"past the end", "{'a':[1]}", "[{'op':'add','path':'/a/2','value':1}]", NULL},
    {"behind the end, to remove", "{'a':[1]}", "[{'op':'remove','path':'/a/-'}]", NULL},
    {"into itself", "{'a':{}}", "[{'op':'move','from':'/a','path':'/a/b'}]", NULL},
    {"into a scalar", "{'a':1}", "[{'op':'add','path':'/a/b','value':1}]", NULL},
    {"no pointer", "{'a':1}", "[{'op':'remove','path':'a'}]", NULL},
    {"a tilde alone", "{'a~':1}", "[{'op':'remove','path':'/a~'}]", NULL},
    {"no value", "{}", "[{'op':'add','path':'/a'}]", NULL},
    {"an unknown operation", "{}", "[{'op':'spam','path':'/a'}]", NULL},
    {"no object", "{}", "[1]", NULL},
    {"a scalar as the document", "{}", "[{'op':'add','path':'','value':1}]", NULL},
    {"all or nothing", "{'a':1}",
     "[{'op':'add','path':'/b','value':1},{'op':'remove','path':'/c'}]", NULL},
};

/* Single quotes keep the examples readable. */
static void parse(const char *text, struct nx_buf *out)
{
    char json[400];
    bool is_array;

    snprintf(json, sizeof json, "%s", text);
    for (char *c = json; *c; c++)
        if (*c == '\'')
            *c = '"';
    assert_int_equal(nx_json_parse(json, strlen(json), NX_JSON_DOCUMENT, 0, out, &is_array, NULL),
                     NX_OK);
}

static void run(const struct example *example)
{
    struct nx_buf base NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf patch NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf made NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf wanted NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc;

    parse(example->base, &base);
    parse(example->patch, &patch);
    rc = json_patch(nx_buf_slice(&base), nx_buf_slice(&patch), &made, &err);
    if ((rc == NX_OK) != (example->made != NULL))
        fail_msg("%s: %s", example->title, err.message);
    if (!example->made) {
        assert_true(err.index >= 0);
        return;
    }
    parse(example->made, &wanted);
    if (made.len != wanted.len || memcmp(made.data, wanted.data, made.len) != 0)
        fail_msg("%s: another result", example->title);
}

static void the_examples_of_the_rfc(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof appendix / sizeof appendix[0]; i++)
        run(&appendix[i]);
}

static void what_it_leaves_to_be_read_between_the_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        run(&others[i]);
}

static void a_document_copied_into_itself_ends_at_the_limits(void **state)
{
    struct nx_buf base NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf patch NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf made NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    struct nx_builder b;

    (void)state;
    parse("{'a':{'b':1}}", &base);
    nx_builder_init_array(&b, &patch);
    for (int i = 0; i < 2 * NX_DOC_MAX_DEPTH; i++) {
        nx_builder_begin_document(&b, NULL, 0);
        nx_builder_put_z(&b, "op", nx_string_z("copy"));
        nx_builder_put_z(&b, "from", nx_string_z("/a"));
        nx_builder_put_z(&b, "path", nx_string_z("/a/a"));
        nx_builder_close(&b);
    }
    assert_int_equal(nx_builder_end(&b, NULL), NX_OK);
    assert_int_not_equal(json_patch(nx_buf_slice(&base), nx_buf_slice(&patch), &made, &err), NX_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc),
        cmocka_unit_test(what_it_leaves_to_be_read_between_the_lines),
        cmocka_unit_test(a_document_copied_into_itself_ends_at_the_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
