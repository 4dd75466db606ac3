/* SPDX-License-Identifier: MIT */
/*
 * What several tests need: patterns in memory, the library's own figures as
 * numbers, its words on stderr, and the frame of a Check program.
 */
#ifndef SELFTESTS_HELPERS_H
#define SELFTESTS_HELPERS_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))

/*
 * Check writes down where an assertion held, to say after which one a signal
 * came. That takes a lock of stdio's and some microseconds, and all of it is
 * read in the end: in loops of a million it would be most of what a test does,
 * and order its threads. So a thread that has seen many writes few of them.
 */
void mark_seldom(const char *file, int line);
#define _mark_point(file, line)	mark_seldom(file, line)

/*
 * A test whose assertion does not hold leaves by _exit(). With RN_FAULT_CHECK
 * the library is looked through before.
 */
void check_after_failure(void);
#define _ck_assert_failed(...)						\
	(check_after_failure(), (_ck_assert_failed)(__VA_ARGS__))

#if defined(__SANITIZE_THREAD__)
#define SANITIZER_THREAD 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SANITIZER_THREAD 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZER_ADDRESS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZER_ADDRESS 1
#endif
#endif

#if defined(SANITIZER_THREAD) || defined(SANITIZER_ADDRESS)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* Everything is many times slower under these: do less of it. */
#define LESS	(SANITIZED || emulator() || slow_machine() ? 8 : 1)

/* A number that the compiler does not know, for requests it would refuse. */
static inline size_t opaque(size_t n)
{
	volatile size_t v = n;

	return v;
}

static inline uint64_t xorshift(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* --- contents --- */

/* Fills @n bytes with what only this address and seed would have. */
void pattern_set(void *p, size_t n, uint64_t seed);
/* Does it still? */
bool pattern_ok(const void *p, size_t n, uint64_t seed);
bool all_zero(const void *p, size_t n);

/* By offset, of an object that may move: fills [@from, @to). */
void mark_bytes(char *p, size_t from, size_t to);
/* Are the first @to bytes as mark_bytes() leaves them? */
bool bytes_marked(const char *p, size_t to);

/* --- text and numbers --- */

/* What @dump writes, ended by a 0; to be freed by free(). */
char *dump_text(int (*dump)(int fd));

/* The number behind @name at the start of a line of @text, or -1. */
long number_after(const char *text, const char *name);

/* The number of a "Name:   123 kB" line of /proc/self/status, or -1. */
long status_value(const char *name);

/* --- figures of libslab (figures.c) --- */

/* The value of a line of rn_vmstat(), or -1 when it has no such line. */
long vmstat(const char *name);
/* The sum of the lines nodeN_@name, or -1 when there are none. */
long vmstat_nodes(const char *name);

struct slabinfo {
	char name[64];
	unsigned long active, objects;
	unsigned int size, per_slab, pages_per_slab;
	unsigned int limit, batchcount, sharedfactor;
	unsigned long active_slabs, slabs, sharedavail;
};

/* One line of slabinfo text; false when it is not exactly one. */
bool slabinfo_parse(const char *line, size_t len, struct slabinfo *s);
/* The line of a cache; false when there is none. */
bool slabinfo_of(const char *cache, struct slabinfo *s);
/* Objects in use in all caches together. */
unsigned long slabinfo_active(void);

/* --- stderr --- */

/* From here on stderr is kept; the second call gives it back as text. */
void stderr_catch(void);
char *stderr_caught(void);	/* to be freed by free() */
/* Likewise; how often @what is in it. */
int said(const char *what);

/* --- threads --- */

/* Is this thread of the process in system call number @call just now? */
bool is_in_call(int tid, long call);

/* --- the program --- */

/* Is every cache debugged, by RN_SLAB_DEBUG? Then sizes are exact. */
bool all_debugged(void);
bool all_hardened(void);	/* by RN_HARDENED=1 */
/* The bytes of the class of @size, or its pages: what a group is charged. */
size_t class_size(size_t size);
/* Is a sanitizer told of objects (scripts/check-valgrind)? Then all are. */
bool all_sanitized(void);
/* Is RN_PERCPU=fallback forced on all of this program? */
bool forced_fallback(void);
/* What scripts/check put before this program, to run it; often NULL. */
const char *emulator(void);
/* Is the whole machine an emulated one? SLOW_MACHINE says so. */
bool slow_machine(void);
/* Sets RLIMIT_AS; false where that has no effect, as under qemu-user. */
bool limit_address_space(size_t bytes);
/* A part that cannot be tested here; scripts/check counts these lines. */
void skip_part(const char *test, const char *reason);
/* Runs the suite; what main() returns. */
int suite_main(Suite *s);

#endif /* SELFTESTS_HELPERS_H */
