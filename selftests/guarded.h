/* SPDX-License-Identifier: MIT */
/*
 * Objects between guard pages, as many as a test wants.
 */
#ifndef SELFTESTS_GUARDED_H
#define SELFTESTS_GUARDED_H

#include "given.h"
#include "helpers.h"
#include "debug/kfence.h"

#include <stdlib.h>
#include <unistd.h>

#define OBJECTS	16

/* Nobody takes samples but the test. */
static inline void start(const char *action)
{
	setenv("RN_KFENCE", "1", 1);
	setenv("RN_KFENCE_INTERVAL", "100000000", 1);
	setenv("RN_KFENCE_OBJECTS", "16", 1);
	setenv("RN_BACKGROUND", "0", 1);
	setenv("RN_SLAB_DEBUG_ACTION", action, 1);
	stack_prepare();
	init_given();
	kfence_due = UINT64_MAX;
	ck_assert_uint_ne(kfence_pool.bytes, 0);
}

/* A class's; perhaps none. It always comes to the slow path. */
static inline char *try_guarded(size_t size, rn_gfp_t flags)
{
	kfence_gate = size_to_row(size);
	return rn_alloc_node(size, flags, RN_NO_NODE);
}

static inline char *guarded(size_t size)
{
	char *p = try_guarded(size, 0);

	ck_assert(kfence_has(p));
	ck_assert_uint_eq(kfence_gate, 0);
	return p;
}

static inline size_t page_bytes(void)
{
	return kfence_pool.bytes / (2 * OBJECTS + 1);
}

/* One that the compiler does not know to be behind an object. */
static inline const char *opaque_pointer(const char *p)
{
	const char *volatile v = p;

	return v;
}

/* Does an access there fault? Found by a write(2), which does not. */
static inline bool is_protected(const char *p)
{
	int fds[2];
	bool done;

	ck_assert_int_eq(pipe(fds), 0);
	done = write(fds[1], opaque_pointer(p), 1) == 1;
	close(fds[0]);
	close(fds[1]);
	return !done;
}

#endif /* SELFTESTS_GUARDED_H */
