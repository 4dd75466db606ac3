/* SPDX-License-Identifier: MIT */
#ifndef SELFTESTS_MUST_H
#define SELFTESTS_MUST_H

#include <check.h>

/*
 * A check for where other threads are, and for their children: as long as it
 * holds it takes no lock of stdio's, as Check's own do.
 */
#define must(what) do {							\
	if (!(what))							\
		ck_abort_msg("not so: %s", #what);			\
} while (0)

#endif /* SELFTESTS_MUST_H */
