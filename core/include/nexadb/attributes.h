/* attributes.h - compiler attributes under the project's names. */
#ifndef NEXADB_ATTRIBUTES_H
#define NEXADB_ATTRIBUTES_H

#define NX_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define NX_CLEANUP(fn) __attribute__((cleanup(fn)))
#define NX_NODISCARD __attribute__((warn_unused_result))
#define NX_API __attribute__((visibility("default")))

#if defined(__clang__)
#define NX_TSA(x) __attribute__((x))
#else
#define NX_TSA(x)
#endif
#define NX_CAPABILITY(name) NX_TSA(capability(name))
#define NX_REQUIRES(mu) NX_TSA(requires_capability(mu))
#define NX_ACQUIRE(mu) NX_TSA(acquire_capability(mu))
#define NX_RELEASE(mu) NX_TSA(release_capability(mu))
#define NX_TRY_ACQUIRE(ok, mu) NX_TSA(try_acquire_capability(ok, mu))
#define NX_NO_THREAD_SAFETY NX_TSA(no_thread_safety_analysis)

#endif
