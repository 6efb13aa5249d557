/* log_test.c - a flood of one warning is cut short, and nothing else is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "tests/support/unit.h"

static int lines_with(const char *path, const char *text)
{
    FILE *file = fopen(path, "r");
    char line[1200];
    int count = 0;

    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        count += strstr(line, text) != NULL;
    fclose(file);
    return count;
}

static void a_flood_of_one_shape_leaves_a_few_lines(void **state)
{
    char path[] = "/tmp/nx-log-test-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(log_open(path, LOG_INFO, NULL), NX_OK);
    for (int i = 0; i < 1000; i++)
        log_line(LOG_WARN, "mount", "%d.json: the disk of '/a/%d' is full: %d bytes", i, i, i);
    log_line(LOG_WARN, "mount", "table '/a/000007.table': bad checksum at 4096");
    for (int i = 0; i < 20; i++)
        log_line(LOG_INFO, "main", "a word of %d", i);
    log_close();
    assert_int_equal(lines_with(path, "is full"), 5);
    assert_int_equal(lines_with(path, "bad checksum"), 1);
    assert_int_equal(lines_with(path, "a word"), 20);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_of_one_shape_leaves_a_few_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
