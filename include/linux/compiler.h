/* SPDX-License-Identifier: MIT */
/*
 * Small helpers that every file of the library uses. Not installed.
 */
#ifndef LINUX_COMPILER_H
#define LINUX_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)
#ifndef __always_inline
#define __always_inline	inline __attribute__((always_inline))
#endif
#define noinline	__attribute__((noinline))
#define __cold		__attribute__((cold))
#define __noreturn	__attribute__((noreturn))
#define __printf(f, a)	__attribute__((format(printf, f, a)))
#define __aligned(n)	__attribute__((aligned(n)))

/* For what reads others' figures at a moment of its own. */
#define __no_tsan	__attribute__((no_sanitize("thread")))

/* Everything is hidden by default; this marks what is exported on purpose. */
#define RN_API		__attribute__((visibility("default")))

/* A fast path starts on a cache line, whatever stands before it. */
#define __fastpath	__attribute__((aligned(64)))

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define min(a, b) __extension__({					\
	__typeof__(a) a_ = (a);						\
	__typeof__(b) b_ = (b);						\
	a_ < b_ ? a_ : b_; })
#define max(a, b) __extension__({					\
	__typeof__(a) a_ = (a);						\
	__typeof__(b) b_ = (b);						\
	a_ > b_ ? a_ : b_; })

#define ALIGN(x, a)	 (((x) + (a) - 1) & ~((__typeof__(x))(a) - 1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a) - 1))
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define is_power_of_2(n) ((n) && !((n) & ((n) - 1)))

/*
 * ThreadSanitizer does not see into the restartable sequences; these say what
 * they order (see Documentation/mm/rseq.rst).
 */
#if defined(__SANITIZE_THREAD__)
#define RN_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RN_TSAN 1
#endif
#endif

#ifdef RN_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define tsan_acquire(p)	__tsan_acquire((void *)(p))
#define tsan_release(p)	__tsan_release((void *)(p))
#else
#define tsan_acquire(p)	((void)(p))
#define tsan_release(p)	((void)(p))
#endif

/* A word that others read and write at the same time, without ordering. */
#define READ_ONCE(x)	 __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define smp_load_acquire(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)

/*
 * A word that is read once, whatever the compiler does: of an atomic load it
 * makes an instruction of its own.
 */
#ifdef RN_TSAN
#define data_race(x)	READ_ONCE(x)
#else
#define data_race(x)	(x)
#endif

/* For a signal handler of the same thread: the compiler keeps the order. */
#define barrier()	__asm__ __volatile__("" : : : "memory")

/* A full barrier; of the two kinds the one that ThreadSanitizer lets pass. */
#define smp_mb()	__sync_synchronize()

/* Statistics: exact, but not ordered with anything. */
#define stat_add(p, v)	((void)__atomic_fetch_add((p), (v), __ATOMIC_RELAXED))
#define stat_inc(p)	stat_add((p), 1)

static inline unsigned int ilog2(unsigned long n)	/* n > 0; rounds down */
{
	return 63 - __builtin_clzl(n);
}

static inline unsigned int order_base_2(unsigned long n)  /* rounds up */
{
	return n > 1 ? 64 - __builtin_clzl(n - 1) : 0;
}

#endif /* LINUX_COMPILER_H */
