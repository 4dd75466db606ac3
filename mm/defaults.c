// SPDX-License-Identifier: MIT
/*
 * What the options are where nobody says otherwise. The malloc replacement has
 * defaults of its own (compat/defaults.c).
 */
#include "internal.h"

struct options options = {
	.ladder = { RUNG_HUGETLB, RUNG_THP, RUNG_OTHER_NODE, RUNG_SMALL },
	.huge_shift = PAGEBLOCK_SHIFT,
	.decay_ms = DECAY_MS,
	.sanitizer = SANITIZE_DEFAULT,
	.quarantine = QUARANTINE,
};
