/*
 * distance.c - dot product and squared Euclidean distance of float vectors.
 *
 * Each kernel exists for plain C (which compilers turn into SSE2), AVX2 with FMA, and AVX-512; the
 * widest that the processor has is chosen once. Kernels keep several independent sums, because one
 * addition's latency is several times its cost: rounding then differs a little between kernels,
 * never between two calls on one machine.
 */
#include "vector/distance.h"

#include <math.h>
#include <stdatomic.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define HAS_X86 1
#else
#define HAS_X86 0
#endif

typedef float (*kernel_fn)(const float *a, const float *b, size_t n);

struct kernels {
    const char *name;
    kernel_fn dot, l2_squared;
};

/* --- plain C ---------------------------------------------------------------------------------- */

#define LANES 32

static float sum_lanes(const float *lanes)
{
    float sum = 0;

    for (size_t i = 0; i < LANES; i++)
        sum += lanes[i];
    return sum;
}

static float dot_plain(const float *a, const float *b, size_t n)
{
    float lanes[LANES] = {0}, rest = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lanes[j] += a[i + j] * b[i + j];
    for (; i < n; i++)
        rest += a[i] * b[i];
    return sum_lanes(lanes) + rest;
}

static float l2_plain(const float *a, const float *b, size_t n)
{
    float lanes[LANES] = {0}, rest = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) {
            float d = a[i + j] - b[i + j];

            lanes[j] += d * d;
        }
    for (; i < n; i++)
        rest += (a[i] - b[i]) * (a[i] - b[i]);
    return sum_lanes(lanes) + rest;
}

#if HAS_X86
/* --- AVX2 and FMA ----------------------------------------------------------------------------- */

#define AVX2 __attribute__((target("avx2,fma")))

AVX2 static float sum_avx2(__m256 v)
{
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    sum = _mm_add_ss(sum, _mm_movehdup_ps(sum));
    return _mm_cvtss_f32(sum);
}

AVX2 static float dot_avx2(const float *a, const float *b, size_t n)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    float rest = 0;
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
        s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
        s2 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16), s2);
        s3 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24), s3);
    }
    for (; i + 8 <= n; i += 8)
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
    for (; i < n; i++)
        rest += a[i] * b[i];
    return sum_avx2(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3))) + rest;
}

AVX2 static __m256 add_square_avx2(const float *a, const float *b, __m256 sum)
{
    __m256 d = _mm256_sub_ps(_mm256_loadu_ps(a), _mm256_loadu_ps(b));

    return _mm256_fmadd_ps(d, d, sum);
}

AVX2 static float l2_avx2(const float *a, const float *b, size_t n)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    float rest = 0;
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        s0 = add_square_avx2(a + i, b + i, s0);
        s1 = add_square_avx2(a + i + 8, b + i + 8, s1);
        s2 = add_square_avx2(a + i + 16, b + i + 16, s2);
        s3 = add_square_avx2(a + i + 24, b + i + 24, s3);
    }
    for (; i + 8 <= n; i += 8)
        s0 = add_square_avx2(a + i, b + i, s0);
    for (; i < n; i++)
        rest += (a[i] - b[i]) * (a[i] - b[i]);
    return sum_avx2(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3))) + rest;
}

/* --- AVX-512 ---------------------------------------------------------------------------------- */

#define AVX512 __attribute__((target("avx512f")))

/* One bit for each of the last n < 16 elements: masked loads do not touch the memory behind them.
 */
AVX512 static __mmask16 tail_mask(size_t n)
{
    return (__mmask16)((1u << n) - 1);
}

AVX512 static float dot_avx512(const float *a, const float *b, size_t n)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    __mmask16 tail;
    size_t i = 0;

    for (; i + 64 <= n; i += 64) {
        s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
        s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), s1);
        s2 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 32), _mm512_loadu_ps(b + i + 32), s2);
        s3 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 48), _mm512_loadu_ps(b + i + 48), s3);
    }
    for (; i + 16 <= n; i += 16)
        s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
    tail = tail_mask(n - i);
    s1 =
        _mm512_fmadd_ps(_mm512_maskz_loadu_ps(tail, a + i), _mm512_maskz_loadu_ps(tail, b + i), s1);
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
}

AVX512 static __m512 add_square_avx512(__m512 a, __m512 b, __m512 sum)
{
    __m512 d = _mm512_sub_ps(a, b);

    return _mm512_fmadd_ps(d, d, sum);
}

AVX512 static float l2_avx512(const float *a, const float *b, size_t n)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    __mmask16 tail;
    size_t i = 0;

    for (; i + 64 <= n; i += 64) {
        s0 = add_square_avx512(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
        s1 = add_square_avx512(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), s1);
        s2 = add_square_avx512(_mm512_loadu_ps(a + i + 32), _mm512_loadu_ps(b + i + 32), s2);
        s3 = add_square_avx512(_mm512_loadu_ps(a + i + 48), _mm512_loadu_ps(b + i + 48), s3);
    }
    for (; i + 16 <= n; i += 16)
        s0 = add_square_avx512(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
    tail = tail_mask(n - i);
    s1 = add_square_avx512(_mm512_maskz_loadu_ps(tail, a + i), _mm512_maskz_loadu_ps(tail, b + i),
                           s1);
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
}
#endif

/* --- choosing --------------------------------------------------------------------------------- */

/* Widest first; the last one runs everywhere. */
static const struct kernels table[] = {
#if HAS_X86
    {"avx512", dot_avx512, l2_avx512},
    {"avx2", dot_avx2, l2_avx2},
#endif
    {"plain", dot_plain, l2_plain},
};
#define KERNEL_COUNT (sizeof table / sizeof *table)

static int is_supported(const struct kernels *k)
{
#if HAS_X86
    if (k->dot == dot_avx512)
        return __builtin_cpu_supports("avx512f");
    if (k->dot == dot_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    (void)k;
    return 1;
}

/* NULL until the first call. Whoever races chooses the same; the table is constant, so relaxed
 * order is enough. */
static const struct kernels *_Atomic chosen;

static const struct kernels *choose(void)
{
    const struct kernels *k = table;

    while (!is_supported(k))
        k++;
    atomic_store_explicit(&chosen, k, memory_order_relaxed);
    return k;
}

static const struct kernels *kernels(void)
{
    const struct kernels *k = atomic_load_explicit(&chosen, memory_order_relaxed);

    return k ? k : choose();
}

float vector_dot(const float *a, const float *b, size_t n)
{
    return kernels()->dot(a, b, n);
}

float vector_l2_squared(const float *a, const float *b, size_t n)
{
    return kernels()->l2_squared(a, b, n);
}

float vector_norm(const float *a, size_t n)
{
    return sqrtf(kernels()->dot(a, a, n));
}

size_t vector_kernel_count(void)
{
    return KERNEL_COUNT;
}

const char *vector_kernel_use(size_t i)
{
    if (i >= KERNEL_COUNT || !is_supported(&table[i]))
        return NULL;
    atomic_store_explicit(&chosen, &table[i], memory_order_relaxed);
    return table[i].name;
}
