// SPDX-License-Identifier: MIT
/* The page of the object has gone back to the system, and any link with it. */
#include "crash.h"

#include <sys/mman.h>
#include <unistd.h>

/* 64 MiB: enough for much to be free, and each object has a page of its own. */
enum { MANY = 16384, EACH = 4096 };

/* Not known of the program that an emulator runs. */
static int has_memory(void *p)
{
	unsigned char in_core;

	if (getenv("EMULATOR") || sysconf(_SC_PAGESIZE) != EACH)
		return 0;
	return mincore(p, EACH, &in_core) || in_core & 1;
}

int main(void)
{
	static void *q[MANY];
	void *p;

	/* Of a hugetlb page nothing goes back alone. */
	setenv("RN_LADDER", "thp,small", 1);
	if (rn_alloc_bulk(EACH, 0, MANY, q) != MANY)
		return 1;
	p = blame(q[MANY / 2 + 1]);
	for (int i = 0; i < MANY; i++) {
		memset(q[i], 1, EACH);
		/* The others keep the slabs. */
		if (i % 8)
			rn_free(q[i]);
	}
	rn_shrink_all();
	if (has_memory(p))
		return 2;
	rn_free(p);
	rn_shrink_all();
	return 0;
}
