/*
 * distance.h - distances between float vectors, with SIMD chosen at run time.
 *
 * Threads: any. `n` is the number of dimensions, 1 to 65,536.
 */
#ifndef VECTOR_DISTANCE_H
#define VECTOR_DISTANCE_H

#include <stddef.h>

float vector_dot(const float *a, const float *b, size_t n);
float vector_l2_squared(const float *a, const float *b, size_t n);
float vector_norm(const float *a, size_t n);

/* For tests and benchmarks: use kernel `i` from now on and return its name, or NULL when this
 * processor cannot run it. Kernel 0 is the widest. */
size_t vector_kernel_count(void);
const char *vector_kernel_use(size_t i);

#endif
