/* distance_test.c - each kernel against a sum in double precision, at every length and offset. */
#include <math.h>
#include <stdlib.h>

#include "tests/support/unit.h"
#include "vector/distance.h"

#define MAX_N 1600

struct sums {
    double dot, dot_scale, l2;
};

static struct sums oracle(const float *a, const float *b, size_t n)
{
    struct sums s = {0};

    for (size_t i = 0; i < n; i++) {
        double x = a[i], y = b[i];

        s.dot += x * y;
        s.dot_scale += fabs(x * y);
        s.l2 += (x - y) * (x - y);
    }
    return s;
}

static void fill(float *v, size_t n, uint32_t *seed)
{
    for (size_t i = 0; i < n; i++) {
        *seed = *seed * 1664525u + 1013904223u;
        v[i] = (float)(int32_t)*seed / (float)(1u << 30);
    }
}

static void assert_near(const char *kernel, size_t n, double got, double expected, double scale)
{
    if (!(fabs(got - expected) <= 1e-6 * scale + 1e-30))
        fail_msg("%s, %zu dimensions: %.9g, not %.9g", kernel, n, got, expected);
}

/* The vectors end where their memory ends, so that the sanitizer sees a read past them. */
static void check_length(const char *kernel, size_t n, uint32_t *seed)
{
    float *a = malloc(n * sizeof *a), *b = malloc(n * sizeof *b);
    struct sums s;

    fill(a, n, seed);
    fill(b, n, seed);
    s = oracle(a, b, n);
    assert_near(kernel, n, vector_dot(a, b, n), s.dot, s.dot_scale);
    assert_near(kernel, n, vector_l2_squared(a, b, n), s.l2, s.l2);
    s = oracle(a, a, n);
    assert_near(kernel, n, vector_norm(a, n), sqrt(s.dot), sqrt(s.dot));
    assert_true(vector_l2_squared(a, a, n) == 0);
    free(a);
    free(b);
}

static void kernels_agree_with_double_precision(void **state)
{
    unsigned tried = 0;

    (void)state;
    for (size_t k = 0; k < vector_kernel_count(); k++) {
        const char *kernel = vector_kernel_use(k);
        uint32_t seed = 42;

        if (!kernel)
            continue;
        tried++;
        for (size_t n = 1; n <= MAX_N; n += n < 200 ? 1 : 97)
            check_length(kernel, n, &seed);
        check_length(kernel, 65536, &seed);
    }
    assert_true(tried >= 1);
    assert_null(vector_kernel_use(vector_kernel_count()));
}

static void extreme_values_follow_ieee_arithmetic(void **state)
{
    float a[40] = {0}, b[40] = {0};

    (void)state;
    for (size_t k = 0; k < vector_kernel_count(); k++) {
        if (!vector_kernel_use(k))
            continue;
        a[39] = INFINITY;
        b[39] = 1;
        assert_true(isinf(vector_dot(a, b, 40)));
        a[39] = NAN;
        assert_true(isnan(vector_dot(a, b, 40)));
        assert_true(isnan(vector_l2_squared(a, b, 40)));
        a[39] = 0;
        assert_true(vector_dot(a, b, 40) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_agree_with_double_precision),
        cmocka_unit_test(extreme_values_follow_ieee_arithmetic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
