/* SPDX-License-Identifier: MIT */
/*
 * What the kernel says of the library's pages, where memory has several nodes:
 * that they lie on the node that their address says or elsewhere, and that they
 * came or did not. For white-box tests, on any machine. One file of a program
 * includes it.
 */
#ifndef SELFTESTS_FAKE_NODES_H
#define SELFTESTS_FAKE_NODES_H

#include "../mm/zone.h"

#include <errno.h>
#include <numaif.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/**
 * struct fake - what is to be said
 * @far: so many calls from now on find pages on another node
 * @none: so many calls from now on populate nothing
 * @asked: calls that asked where pages lie
 * @populated: calls that were to populate
 */
static struct {
	unsigned int far, none;
	unsigned int asked, populated;
} fake;

/* In place of libnuma's and the C library's. */
long move_pages(int pid, unsigned long count, void **pages, const int *nodes,
		int *status, int flags)
{
	bool far = fake.far;

	if (nodes || !count || !mem_has(pages[0]))
		return syscall(SYS_move_pages, pid, count, pages, nodes,
			       status, flags);
	fake.asked++;
	fake.far -= far;
	for (unsigned long i = 0; i < count; i++)
		status[i] = pfn_to_node(ptr_to_pfn(pages[i])) + far;
	return 0;
}

int madvise(void *p, size_t bytes, int advice)
{
	if (advice == MADV_POPULATE_WRITE) {
		fake.populated++;
		if (fake.none) {
			fake.none--;
			errno = ENOMEM;
			return -1;
		}
	}
	return syscall(SYS_madvise, p, bytes, advice);
}

/* After the library has started. */
static inline void fake_several_nodes(void)
{
	verify_nodes = true;
}

#endif /* SELFTESTS_FAKE_NODES_H */
