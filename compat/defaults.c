// SPDX-License-Identifier: MIT
/*
 * In place of mm/defaults.c: what a program that never asked for this library
 * can live with. A fork() copies hugetlb pages by whole pages, out of a pool
 * that may be empty; so they are only for who asks for them (RN_HUGETLB=1). And
 * most programs are small: they begin in base pages.
 */
#include "compat.h"

struct options options = {
	.ladder = { RUNG_THP, RUNG_OTHER_NODE, RUNG_SMALL },
	.huge_shift = PAGEBLOCK_SHIFT,
	.decay_ms = DECAY_MS,
	.small_first = 16UL << 20,
	.sanitizer = SANITIZE_DEFAULT,
	.quarantine = QUARANTINE,
};
